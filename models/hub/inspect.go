package hub

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/cenkalti/backoff/v6"
)

// complete asks by HEAD for what the listing does not tell of the files that a model
// could want.
func (h *Hub) complete(ctx context.Context, l *Listing) error {
	asked := 0
	for i, f := range l.Files {
		if f.Digest != "" || !wanted(f.Path) {
			continue
		}
		if asked++; asked > 500 {
			return fmt.Errorf("%s has more than 500 files whose sizes and hashes %s does not list", l.Repository, h.endpoint.Host)
		}
		if err := checkPath(f.Path); err != nil {
			return err
		}
		var err error
		if l.Files[i], err = h.head(ctx, l, f.Path); err != nil {
			return err
		}
	}
	return nil
}

// wanted tells names that Variants and Plan look at.
func wanted(name string) bool {
	base := path.Base(name)
	return strings.Contains(base, ".onnx") || strings.HasSuffix(base, ".data") || strings.HasSuffix(base, ".jinja") || companion(base)
}

// head asks for a file's size and hash. For a large file they are told by the redirect
// to its storage, which is therefore not followed.
func (h *Hub) head(ctx context.Context, l *Listing, name string) (f File, err error) {
	about := subject{l.Repository, l.pinned(), name}
	address := h.endpoint.String() + resolvePath(l, name)
	err = h.persist(ctx, func(func()) error {
		for range 10 {
			request, err := newRequest(ctx, http.MethodHead, address)
			if err != nil {
				return backoff.Permanent(err)
			}
			response, err := h.do(h.direct, request)
			if err != nil {
				return err
			}
			response.Body.Close()
			if response.StatusCode >= 400 {
				return h.refused(response, about)
			}
			if at, err := response.Location(); err == nil && response.Header.Get("X-Linked-Etag") == "" {
				address = at.String()
				continue
			}
			f, err = headFile(name, response)
			return err
		}
		return backoff.Permanent(fmt.Errorf("%s: redirected 10 times", about))
	}, h.options.Retrying)
	return f, err
}

func headFile(name string, response *http.Response) (File, error) {
	etag, size := response.Header.Get("X-Linked-Etag"), response.Header.Get("X-Linked-Size")
	if response.StatusCode == http.StatusOK {
		etag, size = cmp.Or(etag, response.Header.Get("ETag")), cmp.Or(size, response.Header.Get("Content-Length"))
	}
	var bytes int64
	if _, err := fmt.Sscan(size, &bytes); err != nil || bytes < 0 {
		return File{}, backoff.Permanent(fmt.Errorf("%s: %s tells no size of it (%q), so it could not be checked", name, response.Request.URL.Host, size))
	}
	digest, _ := parseDigest(etag) // a mirror's own ETags are no hashes; Pull notes it
	return File{Path: name, Size: bytes, Digest: digest}, nil
}

// resolvePath is where a file is fetched from.
func resolvePath(l *Listing, name string) string {
	elements := strings.Split(name, "/")
	for i, e := range elements {
		elements[i] = url.PathEscape(e)
	}
	return "/" + l.Repository + "/resolve/" + url.PathEscape(l.pinned()) + "/" + strings.Join(elements, "/")
}
