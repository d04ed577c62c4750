package hub_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/models/hub"
	"github.com/graft-gateway/graft/models/hub/hubtest"
)

const token = "hf_goodToken"

func TestAListingIsOfOneCommitAndWhole(t *testing.T) {
	want := usual()
	for name, c := range map[string]struct {
		server   func(*hubtest.Server)
		revision string
		unpinned bool
	}{
		"a branch":                    {func(*hubtest.Server) {}, "main", false},
		"a tag":                       {func(*hubtest.Server) {}, "v1", false},
		"a pull request":              {func(*hubtest.Server) {}, "refs/pr/1", false},
		"a commit":                    {func(*hubtest.Server) {}, want.Commit(), false},
		"pages":                       {func(s *hubtest.Server) { s.PageSize = 3 }, "main", false},
		"a mirror without revisions":  {func(s *hubtest.Server) { s.NoRevision = true }, "v1", false},
		"a mirror without a tree":     {func(s *hubtest.Server) { s.NoTree = true }, "main", false},
		"a tree without hashes":       {func(s *hubtest.Server) { s.NoHashes = true }, "main", false},
		"that, and nothing redirects": {func(s *hubtest.Server) { s.NoTree, s.Direct = true, true }, "main", false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, want, hub.Options{}, func(w *world) {
				c.server(w.Server)
				l, err := w.hub.List(w.t.Context(), repoName, c.revision)
				if err != nil {
					w.t.Fatal(err)
				}
				if l.Commit != want.Commit() || l.Revision != c.revision {
					w.t.Errorf("commit %s of %s", l.Commit, l.Revision)
				}
				seen := map[string]bool{}
				for _, f := range l.Files {
					seen[f.Path] = true
					if f.Digest != "" && f.Size != int64(len(want.Files[f.Path])) {
						w.t.Errorf("%+v", f)
					}
				}
				for path := range want.Files {
					if !seen[path] {
						w.t.Errorf("%s is not listed", path)
					}
				}
				if _, err := w.pull(w.t.Context(), ""); err != nil {
					w.t.Error(err)
				}
				for _, r := range w.Seen() {
					if strings.Contains(r.Path, "/resolve/main/") {
						w.t.Errorf("%s is not pinned to a commit", r.Path)
					}
				}
			})
		})
	}
}

func TestRefusalsSayWhatHelps(t *testing.T) {
	gated, private := usual(), usual()
	gated.Gated, private.Private = true, true
	for name, c := range map[string]struct {
		repo     hubtest.Repo
		token    string
		ask      string
		revision string
		says     []string
	}{
		"gated, no token":        {gated, "", repoName, "main", []string{"people/model is gated", "accept its licence", "http://hub.test:80/people/model", "set HF_TOKEN"}},
		"gated, another account": {gated, hubtest.Stranger, repoName, "main", []string{"the token's account has no access", "accept its licence at http://hub.test:80/people/model"}},
		"private, no token":      {private, "", repoName, "main", []string{"people/model does not exist", "or is private", "HF_TOKEN"}},
		"private, another one":   {private, hubtest.Stranger, repoName, "main", []string{"people/model does not exist", "account may not see it"}},
		"a bad token":            {usual(), "hf_bad", repoName, "main", []string{"does not accept the token", "HF_TOKEN"}},
		"misspelt":               {usual(), token, "people/modle", "main", []string{"people/modle does not exist", "spelling"}},
		"misspelt, no token":     {usual(), "", "people/modle", "main", []string{"people/modle does not exist", "spelling"}},
		"a missing revision":     {usual(), "", repoName, "v9", []string{`no branch, tag or commit "v9"`, "--revision"}},
		"an empty revision":      {usual(), "", repoName, "", []string{"revision is empty"}},
		"no name":                {usual(), "", "a/b/c", "main", []string{"want OWNER/NAME"}},
		"a path":                 {usual(), "", "../x", "main", []string{"want OWNER/NAME"}},
		"an address":             {usual(), "", "https://hub.test/people/model", "main", []string{"want OWNER/NAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, c.repo, hub.Options{Token: c.token}, func(w *world) {
				w.Token = token
				_, err := w.hub.List(w.t.Context(), c.ask, c.revision)
				if err == nil {
					w.t.Fatal("no error")
				}
				t.Log(err)
				for _, says := range c.says {
					if !strings.Contains(err.Error(), says) {
						w.t.Errorf("%v\nwant %q", err, says)
					}
				}
				if c.token != "" && strings.Contains(err.Error(), c.token) {
					w.t.Error("the token is told")
				}
			})
		})
	}
}

func TestOddAnswersAreNoListing(t *testing.T) {
	ok := func(body string) hubtest.Fault { return hubtest.Fault{Status: 200, Body: body} }
	for name, c := range map[string]struct {
		at    string
		fault hubtest.Fault
		says  string
	}{
		"a login page":       {"revision", ok("<html>"), "hub.test:80 answers as no Hub does"},
		"no commit":          {"revision", ok(`{"sha":"../../x"}`), `sha is "../../x", no commit`},
		"an object":          {"tree", ok(`{"a":1}`), "answers as no Hub does"},
		"an endless listing": {"tree", hubtest.Fault{Always: true, Status: 200, Body: `[]`, Header: http.Header{"Link": {`<?recursive=true&cursor=1>; rel="next"`}}}, "does not end after 500 pages"},
		"an endless answer":  {"tree", ok("[" + strings.Repeat(" ", 17<<20)), "larger than 16777216 bytes"},
		"too many graphs":    {"tree", ok("[" + strings.TrimSuffix(strings.Repeat(`{"type":"file","path":"N.onnx","size":1,"oid":"ce013625030ba8dba906f756967f9e9ca394464a"},`, 1001), ",") + "]"), "has 1001 graphs"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, usual(), hub.Options{}, func(w *world) {
				w.Break(c.at, c.fault)
				if _, err := w.hub.List(w.t.Context(), repoName, "main"); err == nil || !strings.Contains(err.Error(), c.says) {
					w.t.Errorf("%.300v\nwant %q", err, c.says)
				}
			})
		})
	}
}

func TestTheTokenGoesToTheEndpointAlone(t *testing.T) {
	gated := usual()
	gated.Gated = true
	inWorld(t, gated, hub.Options{Token: token}, func(w *world) {
		w.Token = token
		w.Break("onnx/model_q4f16.onnx", hubtest.Fault{Cut: 1000})
		if _, err := w.pull(w.t.Context(), "q4f16"); err != nil {
			w.t.Fatal(err)
		}
		storage := 0
		for _, r := range w.Seen() {
			if r.Storage {
				storage++
			}
			if got := r.Header.Get("Authorization"); (got == "Bearer "+token) == r.Storage || r.Header.Get("Referer") != "" {
				w.t.Errorf("storage %v: %s with Authorization %q, Referer %q", r.Storage, r.Path, got, r.Header.Get("Referer"))
			}
		}
		if storage != 2 {
			w.t.Errorf("%d requests to the storage", storage)
		}
	})
}

func TestAnUnreachableEndpointIsNamed(t *testing.T) {
	inWorld(t, usual(), hub.Options{}, func(w *world) {
		h, err := hub.New(hub.Options{Endpoint: "http://nowhere.test/", Transport: w.Transport()})
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = h.List(w.t.Context(), repoName, "main")
		if err == nil || !strings.Contains(err.Error(), "nowhere.test cannot be reached") || !strings.Contains(err.Error(), "HF_ENDPOINT") {
			w.t.Error(err)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for endpoint, says := range map[string]string{
		"huggingface.co":         "no address of a Hub",
		"ftp://x":                "no address of a Hub",
		"https://":               "no address of a Hub",
		"https://me:pw@mirror/x": "has a user name in it",
		"https://mirror/?a=1":    "must not have a ?",
	} {
		_, err := hub.New(hub.Options{Endpoint: endpoint})
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v, want %q", endpoint, err, says)
		}
	}
	if _, err := hub.New(hub.Options{Token: "hf_a\nb"}); err == nil || strings.Contains(err.Error(), "hf_a") {
		t.Errorf("a token of two lines: %v", err)
	}
}
