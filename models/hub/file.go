package hub

import (
	"crypto/sha1" // git's own hash
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"unicode"
)

// File is one of a repository's, as its listing tells it.
type File struct {
	Path   string // from the repository's root, with slashes
	Size   int64  // in bytes
	Digest Digest
}

// Digest is what a file's content hashes to: 64 hexadecimal digits of SHA-256, or the
// 40 of git's SHA-1 over "blob SIZE\x00" and the content. It is empty where the server
// did not tell.
type Digest string

// parseDigest takes a hash as listings and ETags write it.
func parseDigest(text string) (Digest, bool) {
	text = strings.ToLower(strings.Trim(strings.TrimPrefix(strings.TrimSpace(text), "W/"), `"`))
	if _, err := hex.DecodeString(text); err != nil || len(text) != 2*sha256.Size && len(text) != 2*sha1.Size {
		return "", false
	}
	return Digest(text), true
}

// algorithm is the digest's name in results and messages.
func (d Digest) algorithm() string {
	if len(d) == 2*sha256.Size {
		return "sha256"
	}
	return "git sha1"
}

// hasher starts hashing content of that size.
func (d Digest) hasher(size int64) hash.Hash {
	if len(d) == 2*sha256.Size {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", size)
	return h
}

// sum ends what hasher began.
func sum(h hash.Hash) Digest { return Digest(hex.EncodeToString(h.Sum(nil))) }

// incomplete is the name that a file has while it grows. It holds the hash: under it
// lies the beginning of this content or nothing of use. Without a hash the name says
// nothing, and what lies under it is of no use.
func (f File) incomplete() string {
	mark := strings.Repeat("0", 16)
	if f.Digest != "" {
		mark = string(f.Digest[:16])
	}
	return f.Path + "." + mark + incompleteSuffix
}

const incompleteSuffix = ".incomplete"

// checkPath refuses names that could reach outside a folder, that some file system
// takes for something else, or that a terminal would act on.
func checkPath(path string) error {
	refuse := func(why string) error {
		return fmt.Errorf("the Hub names a file %q, which %s: it is not fetched", path, why)
	}
	if path == "" || len(path) > 1024 {
		return refuse("is no file name")
	}
	for _, r := range path {
		if r == '\\' || r == ':' || r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return refuse(fmt.Sprintf("has the character %q in it", r))
		}
	}
	for element := range strings.SplitSeq(path, "/") {
		switch {
		case element == "":
			return refuse("is not a path within the repository")
		case element == "." || element == "..":
			return refuse("leads out of the folder")
		case strings.HasSuffix(element, ".") || strings.HasSuffix(element, " ") || len(element) > 255-len(incompleteSuffix)-17:
			return refuse("not every file system can hold")
		case reserved(element):
			return refuse("is a device's name on Windows")
		case strings.EqualFold(element, ".git"):
			return refuse("is git's own")
		case strings.HasSuffix(element, incompleteSuffix):
			return refuse("has the ending of unfinished downloads")
		}
	}
	return nil
}

// reserved tells names that Windows gives to devices, whatever their ending.
func reserved(element string) bool {
	base, _, _ := strings.Cut(strings.ToLower(element), ".")
	switch base = strings.TrimSpace(base); base {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	return len(base) == 4 && (strings.HasPrefix(base, "com") || strings.HasPrefix(base, "lpt")) && base[3] >= '0' && base[3] <= '9'
}
