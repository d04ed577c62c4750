#include "textflag.h"

DATA ·negativeInfinity+0(SB)/8, $0xfff0000000000000
GLOBL ·negativeInfinity(SB), RODATA|NOPTR, $8
DATA ·negativeInfinity32+0(SB)/4, $0xff800000
GLOBL ·negativeInfinity32(SB), RODATA|NOPTR, $4
DATA ·notANumber+0(SB)/8, $0x7ff8000000000001
GLOBL ·notANumber(SB), RODATA|NOPTR, $8

// func mixBlocksAVX2(b, t, u *float32, w, tuned, untuned float64, maxima *float64, n int, best float32) (top float32, at int)
//
// SI, DX, DI walk the rows, R8 the maxima; R9 counts blocks, R10 is n, R11 is at.
// Y0 w, Y1 tuned, Y2 untuned; of the block: Y3 the greatest scores, Y4 the greatest of b,
// Y5 the sum of u, Y6 all ones in places where a score was NaN. X15 is top.
TEXT ·mixBlocksAVX2(SB), NOSPLIT, $0-88
	MOVQ b+0(FP), SI
	MOVQ t+8(FP), DX
	MOVQ u+16(FP), DI
	VBROADCASTSD w+24(FP), Y0
	VBROADCASTSD tuned+32(FP), Y1
	VBROADCASTSD untuned+40(FP), Y2
	MOVQ maxima+48(FP), R8
	MOVQ n+56(FP), R10
	VMOVSS best+64(FP), X15
	MOVQ $-1, R11
	XORQ R9, R9

blocks:
	VBROADCASTSD ·negativeInfinity(SB), Y3
	VBROADCASTSS ·negativeInfinity32(SB), Y4
	VXORPD Y5, Y5, Y5
	VXORPD Y6, Y6, Y6
	MOVQ $8, CX

eight:
	VMAXPS (SI), Y4, Y4
	VCVTPS2PD (DI), Y7
	VCVTPS2PD 16(DI), Y8
	VADDPD Y7, Y5, Y5
	VCVTPS2PD (DX), Y9
	VADDPD Y8, Y5, Y5
	VCVTPS2PD 16(DX), Y10
	VMULPD Y2, Y7, Y7
	VMULPD Y2, Y8, Y8
	VMULPD Y1, Y9, Y9
	VMULPD Y1, Y10, Y10
	VCVTPS2PD (SI), Y11
	VCVTPS2PD 16(SI), Y12
	VSUBPD Y7, Y9, Y9    // tuned·t − untuned·u
	VSUBPD Y8, Y10, Y10
	VMULPD Y0, Y11, Y11
	VMULPD Y0, Y12, Y12
	VADDPD Y9, Y11, Y11  // w·b + shift
	VADDPD Y10, Y12, Y12
	VCMPPD $3, Y12, Y11, Y13 // a NaN in one of the two
	VORPD Y13, Y6, Y6
	VMAXPD Y3, Y11, Y3   // keeps Y3 beside a NaN
	VMAXPD Y3, Y12, Y3
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	DECQ CX
	JNZ eight

	// The greatest score, or NaN: a sum of u that is not finite is not itself less itself.
	VEXTRACTF128 $1, Y3, X7
	VMAXPD X7, X3, X3
	VPERMILPD $1, X3, X7
	VMAXSD X7, X3, X3
	VSUBPD Y5, Y5, Y5
	VCMPPD $3, Y5, Y5, Y5
	VORPD Y5, Y6, Y6
	VMOVMSKPD Y6, AX
	TESTL AX, AX
	JZ sound
	VMOVSD ·notANumber(SB), X3

sound:
	VMOVSD X3, (R8)
	ADDQ $8, R8

	VEXTRACTF128 $1, Y4, X7
	VMAXPS X7, X4, X4
	VPERMILPS $0x4e, X4, X7
	VMAXPS X7, X4, X4
	VPERMILPS $0xb1, X4, X7
	VMAXSS X7, X4, X4
	VUCOMISS X15, X4
	JLS next             // X4 ≤ X15; never unordered, since VMAXPS keeps its last operand
	VMOVAPS X4, X15
	MOVQ R9, R11

next:
	INCQ R9
	CMPQ R9, R10
	JLT blocks

	VMOVSS X15, top+72(FP)
	MOVQ R11, at+80(FP)
	VZEROUPPER
	RET

// func fillBlockAVX2(x *block, b, t, u *float32, w, tuned, untuned float64) (sound bool)
//
// The scores of one block, as in mixBlocksAVX2: Y3 the sum of u, Y6 the NaNs.
TEXT ·fillBlockAVX2(SB), NOSPLIT, $0-57
	MOVQ x+0(FP), R8
	MOVQ b+8(FP), SI
	MOVQ t+16(FP), DX
	MOVQ u+24(FP), DI
	VBROADCASTSD w+32(FP), Y0
	VBROADCASTSD tuned+40(FP), Y1
	VBROADCASTSD untuned+48(FP), Y2
	VXORPD Y3, Y3, Y3
	VXORPD Y6, Y6, Y6
	MOVQ $16, CX

four:
	VCVTPS2PD (DI), Y7
	VADDPD Y7, Y3, Y3
	VCVTPS2PD (DX), Y9
	VMULPD Y2, Y7, Y7
	VMULPD Y1, Y9, Y9
	VCVTPS2PD (SI), Y11
	VSUBPD Y7, Y9, Y9
	VMULPD Y0, Y11, Y11
	VADDPD Y9, Y11, Y11
	VCMPPD $3, Y11, Y11, Y13
	VORPD Y13, Y6, Y6
	VMOVUPD Y11, (R8)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $16, DI
	ADDQ $32, R8
	DECQ CX
	JNZ four

	VSUBPD Y3, Y3, Y3
	VCMPPD $3, Y3, Y3, Y3
	VORPD Y3, Y6, Y6
	VMOVMSKPD Y6, AX
	TESTL AX, AX
	SETEQ sound+56(FP)
	VZEROUPPER
	RET

DATA ·expNegligible+0(SB)/8, $0xc049000000000000
GLOBL ·expNegligible(SB), RODATA|NOPTR, $8
DATA ·expQuarters+0(SB)/8, $0x40171547652b82fe
GLOBL ·expQuarters(SB), RODATA|NOPTR, $8
DATA ·expRound+0(SB)/8, $0x4338000000000000
GLOBL ·expRound(SB), RODATA|NOPTR, $8
DATA ·expHigh+0(SB)/8, $0x3fc62e42fee00000
GLOBL ·expHigh(SB), RODATA|NOPTR, $8
DATA ·expLow+0(SB)/8, $0x3dca39ef35793c76
GLOBL ·expLow(SB), RODATA|NOPTR, $8
DATA ·expOne+0(SB)/8, $0x3ff0000000000000
GLOBL ·expOne(SB), RODATA|NOPTR, $8
DATA ·expHalf+0(SB)/8, $0x3fe0000000000000
GLOBL ·expHalf(SB), RODATA|NOPTR, $8
DATA ·expOver6+0(SB)/8, $0x3fc5555555555555
GLOBL ·expOver6(SB), RODATA|NOPTR, $8
DATA ·expOver24+0(SB)/8, $0x3fa5555555555555
GLOBL ·expOver24(SB), RODATA|NOPTR, $8
DATA ·expOver120+0(SB)/8, $0x3f81111111111111
GLOBL ·expOver120(SB), RODATA|NOPTR, $8
DATA ·expOver720+0(SB)/8, $0x3f56c16c16c16c17
GLOBL ·expOver720(SB), RODATA|NOPTR, $8
DATA ·expOver5040+0(SB)/8, $0x3f2a01a01a01a01a
GLOBL ·expOver5040(SB), RODATA|NOPTR, $8
DATA ·expOver40320+0(SB)/8, $0x3efa01a01a01a01a
GLOBL ·expOver40320(SB), RODATA|NOPTR, $8
DATA ·expThree+0(SB)/8, $3
GLOBL ·expThree(SB), RODATA|NOPTR, $8
DATA ·expHalves+0(SB)/8, $0x0000000100000000 // the two halves of a number
GLOBL ·expHalves(SB), RODATA|NOPTR, $8
DATA ·expPowers+0(SB)/8, $0x3ff0000000000000 // 2^(0/4)
DATA ·expPowers+8(SB)/8, $0x3ff306fe0a31b715 // 2^(1/4)
DATA ·expPowers+16(SB)/8, $0x3ff6a09e667f3bcd // 2^(2/4)
DATA ·expPowers+24(SB)/8, $0x3ffae89f995ad3ad // 2^(3/4)
GLOBL ·expPowers(SB), RODATA|NOPTR, $32

// func exponentialsAVX2(x *block, best float64) float64
//
// The steps of plainExponentials, by its names: Y0 best, Y1 negligible, Y2 4/log 2,
// Y3 round, Y4 high, Y5 low, Y6 the sums, Y14 the powers as pairs of halves, Y15 3.
TEXT ·exponentialsAVX2(SB), NOSPLIT, $0-24
	MOVQ x+0(FP), SI
	VBROADCASTSD best+8(FP), Y0
	VBROADCASTSD ·expNegligible(SB), Y1
	VBROADCASTSD ·expQuarters(SB), Y2
	VBROADCASTSD ·expRound(SB), Y3
	VBROADCASTSD ·expHigh(SB), Y4
	VBROADCASTSD ·expLow(SB), Y5
	VXORPD Y6, Y6, Y6
	VMOVUPS ·expPowers(SB), Y14
	VPBROADCASTQ ·expThree(SB), Y15
	MOVQ $16, CX

four:
	VMOVUPD (SI), Y7
	VSUBPD Y0, Y7, Y7            // y
	VCMPPD $2, Y7, Y1, Y8        // negligible ≤ y
	VMULPD Y2, Y7, Y9
	VADDPD Y3, Y9, Y9            // shifted
	VSUBPD Y3, Y9, Y10           // n
	VMULPD Y4, Y10, Y11
	VSUBPD Y11, Y7, Y7
	VMULPD Y5, Y10, Y11
	VSUBPD Y11, Y7, Y7           // r
	VMULPD Y7, Y7, Y10           // square
	VBROADCASTSD ·expOver40320(SB), Y11
	VMULPD Y11, Y10, Y11
	VBROADCASTSD ·expOver5040(SB), Y12
	VMULPD Y12, Y7, Y12
	VBROADCASTSD ·expOver720(SB), Y13
	VADDPD Y13, Y12, Y12
	VADDPD Y11, Y12, Y11
	VMULPD Y11, Y10, Y11
	VBROADCASTSD ·expOver120(SB), Y12
	VMULPD Y12, Y7, Y12
	VBROADCASTSD ·expOver24(SB), Y13
	VADDPD Y13, Y12, Y12
	VADDPD Y11, Y12, Y11
	VMULPD Y11, Y10, Y11
	VBROADCASTSD ·expOver6(SB), Y12
	VMULPD Y12, Y7, Y12
	VBROADCASTSD ·expHalf(SB), Y13
	VADDPD Y13, Y12, Y12
	VADDPD Y11, Y12, Y11
	VMULPD Y11, Y10, Y11
	VBROADCASTSD ·expOne(SB), Y13
	VADDPD Y13, Y7, Y12
	VADDPD Y11, Y12, Y11         // p
	VPAND Y15, Y9, Y12           // the quarter, twice for its halves: 2q and 2q + 1
	VPSHUFD $0xa0, Y12, Y12
	VPADDD Y12, Y12, Y12
	VPBROADCASTQ ·expHalves(SB), Y13
	VPADDD Y13, Y12, Y12
	VPERMPS Y14, Y12, Y12
	VPSRLQ $2, Y9, Y9
	VPSLLQ $52, Y9, Y9
	VPADDQ Y9, Y12, Y12
	VMULPD Y11, Y12, Y11
	VANDPD Y8, Y11, Y11
	VMOVUPD Y11, (SI)
	VADDPD Y11, Y6, Y6
	ADDQ $32, SI
	DECQ CX
	JNZ four

	VEXTRACTF128 $1, Y6, X7
	VADDPD X7, X6, X6
	VPERMILPD $1, X6, X7
	VADDSD X7, X6, X6
	VMOVSD X6, ret+16(FP)
	VZEROUPPER
	RET
