package hub

import "testing"

func TestRecordsOfTreesAndSiblingsTellTheSame(t *testing.T) {
	const small, large = "ce013625030ba8dba906f756967f9e9ca394464a", "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	const sha = `"sha":"0123456789012345678901234567890123456789"`
	for name, c := range map[string]struct {
		tree, sibling string
		want          File
	}{
		"small":           {`{"type":"file","path":"a","size":6,"oid":"` + small + `"}`, `{"rfilename":"a","size":6,"blobId":"` + small + `"}`, File{"a", 6, small}},
		"large":           {`{"type":"file","path":"a","size":131,"oid":"` + small + `","lfs":{"oid":"` + large + `","size":6}}`, `{"rfilename":"a","size":6,"blobId":"` + small + `","lfs":{"sha256":"` + large + `","size":6}}`, File{"a", 6, large}},
		"named sha256":    {`{"type":"file","path":"a","size":6,"lfs":{"oid":"sha256:` + large + `"}}`, `{"rfilename":"a","size":6,"lfs":{"sha256":"sha256:` + large + `"}}`, File{"a", 6, large}},
		"no size":         {`{"type":"file","path":"a","oid":"` + small + `"}`, `{"rfilename":"a"}`, File{Path: "a"}},
		"a negative size": {`{"type":"file","path":"a","size":-1,"oid":"` + small + `"}`, `{"rfilename":"a","size":-1,"blobId":"` + small + `"}`, File{Path: "a"}},
		"no hash":         {`{"type":"file","path":"a","size":6,"oid":"x"}`, `{"rfilename":"a","size":6,"blobId":null}`, File{Path: "a"}},
	} {
		files, err := decodeTree([]byte(`[{"type":"directory","path":"d"},` + c.tree + `]`))
		if err != nil || len(files) != 1 || files[0] != c.want {
			t.Errorf("%s, in a tree: %+v, %v", name, files, err)
		}
		_, files, err = decodeInfo([]byte(`{` + sha + `,"siblings":[` + c.sibling + `]}`))
		if err != nil || len(files) != 1 || files[0] != c.want {
			t.Errorf("%s, among siblings: %+v, %v", name, files, err)
		}
	}
}
