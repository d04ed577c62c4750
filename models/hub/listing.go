package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/cenkalti/backoff/v6"
)

// Listing is what a repository holds at one commit.
type Listing struct {
	Repository string
	Revision   string // as it was asked for
	Commit     string // that it stood for; empty where the server did not tell
	Files      []File
}

// pinned is the revision to fetch by.
func (l *Listing) pinned() string {
	if l.Commit != "" {
		return l.Commit
	}
	return l.Revision
}

// What a listing may take. The Hub gives 1,000 entries a page.
const (
	maxAnswer  = 16 << 20
	maxPages   = 500
	maxEntries = 200_000
	maxGraphs  = 1000
)

var commit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// List asks what a repository holds at a branch, tag or commit.
func (h *Hub) List(ctx context.Context, repository, revision string) (*Listing, error) {
	if err := checkRepository(repository); err != nil {
		return nil, err
	}
	if revision == "" {
		return nil, errors.New("the revision is empty: want a branch, a tag or a commit, such as main")
	}
	l := &Listing{Repository: repository, Revision: revision}
	siblings, missing := h.commitOf(ctx, l)
	if missing != nil && !lacks(missing) {
		return nil, missing
	}
	err := h.tree(ctx, l)
	switch {
	case lacks(err) && missing == nil && len(siblings) > 0:
		l.Files = siblings
	case lacks(err) && missing != nil:
		return nil, missing // neither answers: it is the repository that is not there
	case err != nil:
		return nil, err
	}
	if err := h.complete(ctx, l); err != nil {
		return nil, err
	}
	if n := len(l.Variants()); n > maxGraphs {
		return nil, fmt.Errorf("%s has %d graphs: Graft chooses among %d at most", repository, n, maxGraphs)
	}
	return l, nil
}

// lacks tells a server that has no such request from one that has no such repository,
// which the Hub tells by a code. Mirrors lack one or the other.
func lacks(err error) bool {
	refusal := new(Refusal)
	return errors.As(err, &refusal) && refusal.Code == "" &&
		(refusal.Status == http.StatusNotFound || refusal.Status == http.StatusMethodNotAllowed || refusal.Status == http.StatusNotImplemented)
}

// commitOf pins l to a commit and returns the names of all files.
func (h *Hub) commitOf(ctx context.Context, l *Listing) (siblings []File, err error) {
	about := subject{repository: l.Repository, revision: l.Revision}
	decode := func(body []byte) (err error) {
		l.Commit, siblings, err = decodeInfo(body)
		return err
	}
	model := h.endpoint.String() + "/api/models/" + l.Repository
	_, err = h.ask(ctx, model+"/revision/"+url.PathEscape(l.Revision), about, decode)
	if lacks(err) && l.Revision == "main" {
		_, err = h.ask(ctx, model, about, decode)
	}
	return siblings, err
}

// record is a file as the tree has it, or as a model's siblings have it.
type record struct {
	Type            string // empty among siblings
	Path, RFilename string
	OID, BlobID     string
	Size            *int64
	LFS             *struct {
		OID, SHA256 string
		Size        *int64
	}
}

// file is what a record tells. Where it tells no size or no hash, the digest is empty.
func (e record) file() File {
	f := File{Path: cmp.Or(e.Path, e.RFilename)}
	size, hash := e.Size, cmp.Or(e.OID, e.BlobID)
	if e.LFS != nil {
		hash = strings.TrimPrefix(cmp.Or(e.LFS.OID, e.LFS.SHA256), "sha256:")
		size = cmp.Or(e.LFS.Size, size)
	}
	if digest, ok := parseDigest(hash); ok && size != nil && *size >= 0 {
		f.Size, f.Digest = *size, digest
	}
	return f
}

func decodeInfo(body []byte) (sha string, siblings []File, err error) {
	var info struct {
		SHA      string
		Siblings []record
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return "", nil, err
	}
	if info.SHA != "" && !commit.MatchString(info.SHA) {
		return "", nil, fmt.Errorf("sha is %q, no commit", info.SHA)
	}
	for _, e := range info.Siblings {
		siblings = append(siblings, e.file())
	}
	return info.SHA, siblings, nil
}

// tree reads the listing's pages.
func (h *Hub) tree(ctx context.Context, l *Listing) error {
	about := subject{repository: l.Repository, revision: l.pinned()}
	next := h.endpoint.String() + "/api/models/" + l.Repository + "/tree/" + url.PathEscape(l.pinned()) + "?recursive=true"
	for page := 0; next != ""; page++ {
		if page == maxPages || len(l.Files) > maxEntries {
			return fmt.Errorf("%s: its listing does not end after %d pages with %d files", l.Repository, page, len(l.Files))
		}
		header, err := h.ask(ctx, next, about, func(body []byte) error {
			files, err := decodeTree(body)
			l.Files = append(l.Files, files...)
			return err
		})
		if err != nil {
			return err
		}
		if sha := header.Get("X-Repo-Commit"); l.Commit == "" && commit.MatchString(sha) {
			l.Commit = sha
		}
		if next, err = h.following(next, header); err != nil {
			return err
		}
	}
	return nil
}

// decodeTree reads one page. What is no file (a folder, a submodule) is left out.
func decodeTree(body []byte) ([]File, error) {
	var entries []record
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if e.Type == "file" || e.Type == "" {
			files = append(files, e.file())
		}
	}
	return files, nil
}

// following is the next page's address on the endpoint: Link: <ADDRESS>; rel="next".
func (h *Hub) following(current string, header http.Header) (string, error) {
	for _, link := range header.Values("Link") {
		for part := range strings.SplitSeq(link, ",") {
			address, parameters, _ := strings.Cut(strings.TrimSpace(part), ">")
			address, opened := strings.CutPrefix(address, "<")
			parameters = strings.ReplaceAll(strings.ToLower(parameters), " ", "")
			if !opened || !strings.Contains(parameters+";", `;rel="next";`) && !strings.Contains(parameters+";", ";rel=next;") {
				continue
			}
			at, err := url.Parse(current)
			if err != nil {
				return "", err
			}
			if at, err = at.Parse(address); err != nil {
				return "", fmt.Errorf("%s names a next page that is no address: %w", h.endpoint.Host, err)
			}
			if sameOrigin(at, h.endpoint) {
				return at.String(), nil
			}
			// A mirror may pass on the Hub's own address: which page it is stands in the
			// query.
			page, _ := url.Parse(current) // it parsed above
			page.RawQuery = at.RawQuery
			return page.String(), nil
		}
	}
	return "", nil
}

// ask gets one JSON answer.
func (h *Hub) ask(ctx context.Context, address string, about subject, decode func([]byte) error) (header http.Header, err error) {
	err = h.persist(ctx, func(func()) error {
		request, err := newRequest(ctx, http.MethodGet, address)
		if err != nil {
			return backoff.Permanent(err)
		}
		response, err := h.do(h.client, request)
		if hopeless(err) {
			return backoff.Permanent(fmt.Errorf("%w; check the network, a proxy (HTTPS_PROXY), or whether --endpoint or HF_ENDPOINT is meant", err))
		} else if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return h.refused(response, about)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
		if err != nil {
			return err
		}
		if len(body) > maxAnswer {
			return backoff.Permanent(fmt.Errorf("%s: the answer of %s is larger than %d bytes", about, h.endpoint.Host, maxAnswer))
		}
		if err := decode(body); err != nil {
			return backoff.Permanent(fmt.Errorf("%s answers as no Hub does: %w; check --endpoint or HF_ENDPOINT, or whether a login page stands before the network", h.endpoint.Host, err))
		}
		header = response.Header
		return nil
	}, h.options.Retrying)
	return header, err
}
