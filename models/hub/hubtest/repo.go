package hubtest

import (
	"crypto/sha1" // git's own hash
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Stranger is the token of an account that may read no gated or private repository.
const Stranger = "hf_stranger"

// Repo is a repository with one commit.
type Repo struct {
	Name    string // OWNER/NAME
	Files   map[string][]byte
	Gated   bool // its licence must be accepted, which Server.Token's account did
	Private bool
	Tags    []string // names of the commit beside main
	// Alter, if there is one, changes what the listing says of each file.
	Alter func(*Entry)

	commit string  // both are worked out when a server starts
	listed []Entry // with the true sizes and hashes
}

// Entry is a file as the listing has it.
type Entry struct {
	Type string `json:"type"`
	OID  string `json:"oid"`
	Size int64  `json:"size"`
	Path string `json:"path"`
	LFS  *LFS   `json:"lfs,omitempty"`
}

// LFS is what it says of large files besides.
type LFS struct {
	OID         string `json:"oid"`
	Size        int64  `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// Commit is the only commit's name, which its files decide.
func (r Repo) Commit() string {
	h := sha1.New()
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		fmt.Fprintf(h, "%s %s\n", gitSHA1(r.Files[name]), name)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (r Repo) has(revision string) bool {
	return revision == "main" || revision == r.commit || slices.Contains(r.Tags, revision)
}

// large files lie in the storage.
func large(name string) bool {
	return strings.Contains(name, ".onnx") || strings.HasSuffix(name, ".data") || strings.HasSuffix(name, ".bin")
}

func gitSHA1(content []byte) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)))
}

func sha256Hex(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// pointer is what git itself has of a large file.
func pointer(content []byte) []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sha256Hex(content), len(content))
}

// prepared works out what every answer needs.
func (r Repo) prepared() Repo {
	r.commit = r.Commit()
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		content := r.Files[name]
		e := Entry{Type: "file", OID: gitSHA1(content), Size: int64(len(content)), Path: name}
		if large(name) {
			p := pointer(content)
			e.OID, e.LFS = gitSHA1(p), &LFS{OID: sha256Hex(content), Size: e.Size, PointerSize: len(p)}
		}
		r.listed = append(r.listed, e)
	}
	return r
}

// digest is the hash that a file is known by.
func (r Repo) digest(name string) string {
	for _, e := range r.listed {
		switch {
		case e.Path != name:
		case e.LFS != nil:
			return e.LFS.OID
		default:
			return e.OID
		}
	}
	return ""
}

// entries are the listing: folders, and files as Alter has them.
func (r Repo) entries() []Entry {
	var folders, files []Entry
	for _, e := range r.listed {
		if folder := path.Dir(e.Path); folder != "." && !slices.ContainsFunc(folders, func(f Entry) bool { return f.Path == folder }) {
			folders = append(folders, Entry{Type: "directory", OID: gitSHA1([]byte(folder)), Path: folder})
		}
		if e.LFS != nil {
			e.LFS = &LFS{OID: e.LFS.OID, Size: e.LFS.Size, PointerSize: e.LFS.PointerSize}
		}
		if r.Alter != nil {
			r.Alter(&e)
		}
		files = append(files, e)
	}
	return append(folders, files...)
}

// refuse answers as the Hub does: a code, a message, and a status that does not tell
// strangers what there is.
func refuse(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, message)
}
