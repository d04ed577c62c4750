package hub

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/cenkalti/backoff/v6"
)

// try is one request, from where the last one ended.
func (d *download) try(ctx context.Context, progressed func()) error {
	about := subject{d.listing.Repository, d.listing.pinned(), d.wanted.Path}
	request, err := newRequest(ctx, http.MethodGet, d.hub.endpoint.String()+resolvePath(d.listing, d.wanted.Path))
	if err != nil {
		return backoff.Permanent(err)
	}
	if d.have > 0 && !d.whole {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
	}
	response, err := d.hub.do(d.hub.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		if d.have > 0 {
			if err := d.restart(); err != nil {
				return backoff.Permanent(err)
			}
		}
	case http.StatusPartialContent:
		if err := d.checkRange(response); err != nil {
			return err
		}
	case http.StatusRequestedRangeNotSatisfiable:
		d.whole = true
		return fmt.Errorf("%s has no bytes from %d on", response.Request.URL.Host, d.have)
	default:
		return d.hub.refused(response, about)
	}
	body, err := d.content(response)
	if err != nil {
		return err
	}
	d.pieces++
	return d.copy(body, response.Request.URL.Host, progressed)
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)$`)

// checkRange refuses a part that does not continue what is there.
func (d *download) checkRange(response *http.Response) error {
	text := response.Header.Get("Content-Range")
	found := contentRange.FindStringSubmatch(text)
	if found == nil || d.whole || found[1] != strconv.FormatInt(d.have, 10) || response.Header.Get("Content-Encoding") != "" {
		d.whole = true
		return fmt.Errorf("%s answered bytes from %d on with %q", response.Request.URL.Host, d.have, text)
	}
	if found[3] != "*" && found[3] != strconv.FormatInt(d.wanted.Size, 10) {
		return backoff.Permanent(d.wrongSize(response, found[3]))
	}
	return nil
}

func (d *download) wrongSize(response *http.Response, announced string) error {
	return fmt.Errorf("%s announces %s bytes, and the Hub's listing says %d: this is another file", response.Request.URL.Host, announced, d.wanted.Size)
}

// content is the body as it is written: unpacked, where a server compressed it though
// it was asked not to.
func (d *download) content(response *http.Response) (io.Reader, error) {
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		if n := response.ContentLength; n >= 0 && n != d.wanted.Size-d.have {
			return nil, backoff.Permanent(d.wrongSize(response, strconv.FormatInt(n+d.have, 10)))
		}
		return response.Body, nil
	case "gzip", "x-gzip":
		unpacked, err := gzip.NewReader(response.Body)
		if err != nil {
			return nil, fmt.Errorf("%s sends no gzip: %w", response.Request.URL.Host, err)
		}
		d.whole = true // a part of what is compressed is no part of the file
		return unpacked, nil
	default:
		return nil, backoff.Permanent(fmt.Errorf("%s compresses with %q, which was not asked for", response.Request.URL.Host, printable(encoding)))
	}
}

// copy appends what comes, up to the size that the listing told and no further.
func (d *download) copy(body io.Reader, host string, progressed func()) error {
	buffer := make([]byte, 128<<10)
	for d.have < d.wanted.Size {
		n, err := body.Read(buffer[:min(int64(len(buffer)), d.wanted.Size-d.have)])
		if n > 0 {
			if _, err := d.file.Write(buffer[:n]); err != nil {
				return backoff.Permanent(d.disk(errors.Join(err, d.file.Truncate(d.have))))
			}
			d.running.Write(buffer[:n])
			d.have += int64(n)
			d.received += int64(n)
			d.observer.Advance(d.wanted, int64(n))
		}
		if d.have > d.best {
			d.best = d.have
			progressed()
		}
		switch {
		case err == nil || d.have == d.wanted.Size:
		case errors.Is(err, io.EOF):
			return broken{host, io.ErrUnexpectedEOF}
		default:
			return err
		}
	}
	return nil
}
