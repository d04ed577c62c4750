package sglang

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// passAnswer is the answer to one pass over a path behind a prefix, with the k best of
// each position.
func passAnswer(prefix, path []eft.Token, k int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	top := func() string {
		var s strings.Builder
		at := -0.1
		for i := range k {
			if i > 0 {
				s.WriteByte(',')
			}
			at -= random.Float64() / 4
			fmt.Fprintf(&s, "[%v,%d,null]", float64(float32(at)), i*1500+random.IntN(1500))
		}
		return "[" + s.String() + "]"
	}
	tokens, tops := []string{fmt.Sprintf("[null,%d,null]", prefix[len(prefix)-1])}, []string{"null"}
	for _, id := range path {
		tokens, tops = append(tokens, fmt.Sprintf("[-1.5,%d,null]", id)), append(tops, top())
	}
	return fmt.Appendf(nil, `{"text":"x","output_ids":[5],"meta_info":{"id":"0","finish_reason":{"type":"length","length":1},"prompt_tokens":%d,"weight_version":"default","completion_tokens":1,"cached_tokens":0,`+
		`"input_token_logprobs":[%s],"input_top_logprobs":[%s],"output_token_logprobs":[[-0.5,5,null]],"output_top_logprobs":[%s]}}`,
		len(prefix)+len(path), strings.Join(tokens, ","), strings.Join(tops, ","), top())
}

// BenchmarkPath is what a path of 16 tokens costs beside the server's own work: a request,
// an answer of 17 rows of the 100 best, over loopback.
func BenchmarkPath(b *testing.B) {
	prefix, path := make([]eft.Token, 300), make([]eft.Token, 16)
	for i := range prefix {
		prefix[i] = eft.Token(i * 401)
	}
	data := passAnswer(prefix, path, 100)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		w.Write(data)
	}))
	defer web.Close()
	client, err := proxy.NewClient(proxy.Endpoint{URL: web.URL})
	if err != nil {
		b.Fatal(err)
	}
	pieces := make([][]byte, 151_936)
	for i := range pieces {
		pieces[i] = []byte{1}
	}
	s := &server{client: client, vocabulary: eft.NewVocabulary(pieces), pass: true, caps: proxy.Caps{TopLogprobs: 100, VocabSize: 151_936}}
	text := s.Begin("")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := text.Rows(b.Context(), prefix, path); err != nil {
			b.Fatal(err)
		}
	}
}
