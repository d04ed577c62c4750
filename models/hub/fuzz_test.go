package hub

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func FuzzListing(f *testing.F) {
	f.Add([]byte(`[{"type":"file","oid":"ce013625030ba8dba906f756967f9e9ca394464a","size":6,"path":"config.json"},
		{"type":"directory","oid":"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391","size":0,"path":"onnx"},
		{"type":"file","oid":"ce013625030ba8dba906f756967f9e9ca394464a","size":131,"path":"onnx/model.onnx","lfs":{"oid":"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","size":6,"pointerSize":131},"xetHash":"00"},
		{"type":"file","oid":"ce013625030ba8dba906f756967f9e9ca394464a","size":6,"path":"tokenizer.json"}]`))
	f.Add([]byte(`{"sha":"ce013625030ba8dba906f756967f9e9ca394464a","siblings":[{"rfilename":"a/../../b.onnx"}]}`))
	f.Add([]byte(`[{"type":"file","oid":"","size":1e400,"path":"../x.onnx"}]`))
	f.Add([]byte(`{"sha":"ce013625030ba8dba906f756967f9e9ca394464a","siblings":[{"rfilename":"model.onnx","size":5,"blobId":"ce013625030ba8dba906f756967f9e9ca394464a","lfs":{"sha256":"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","size":6}}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if sha, _, err := decodeInfo(body); err == nil && len(sha) != 0 && len(sha) != 40 && len(sha) != 64 {
			t.Errorf("sha %q", sha)
		}
		files, err := decodeTree(body)
		if err != nil {
			return
		}
		l := &Listing{Repository: "o/m", Revision: "main", Files: files}
		for _, file := range files {
			if n := len(file.Digest); file.Size < 0 || n != 0 && n != 40 && n != 64 {
				t.Errorf("%+v", file)
			}
			address, err := url.Parse("http://hub.test" + resolvePath(l, file.Path))
			if err != nil || address.Host != "hub.test" || address.RawQuery != "" || !strings.HasPrefix(address.Path, "/o/m/resolve/main/") {
				t.Errorf("%q is asked for at %v, %v", file.Path, address, err)
			}
		}
		for _, v := range l.Variants() {
			chosen, err := l.Choose(v.Name)
			if err != nil && len(files) < 2 {
				t.Errorf("the only variant %q: %v", v.Name, err)
			}
			if p, err := l.Plan(chosen); err == nil && p.Bytes() < chosen.Graph.Size && chosen.Bytes() >= chosen.Graph.Size {
				t.Errorf("a plan of %d bytes", p.Bytes())
			}
		}
	})
}

func FuzzNextPage(f *testing.F) {
	f.Add(`<http://hub.test/api/models/o/m/tree/main?cursor=x>; rel="next"`)
	f.Add(`<https://huggingface.co/api/models/o/m/tree/main?cursor=x>; rel="next", <x>; rel=last`)
	f.Add(`<?cursor=2>;rel=next`)
	f.Add(`<file:///etc/passwd>; rel="next"`)
	h, err := New(Options{Endpoint: "http://hub.test/mirror"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		next, err := h.following("http://hub.test/mirror/api/models/o/m/tree/main?recursive=true", http.Header{"Link": {link}})
		if err != nil || next == "" {
			return
		}
		if at, err := url.Parse(next); err != nil || !sameOrigin(at, h.endpoint) {
			t.Errorf("%q leads to %s, %v", link, next, err)
		}
	})
}
