package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/graft-gateway/graft/gateway/openai"
)

// keyring holds the hashes of the keys that clients may use. An empty one lets
// everybody in.
type keyring [][sha256.Size]byte

func newKeyring(keys []string) keyring {
	var k keyring
	for _, key := range keys {
		k = append(k, sha256.Sum256([]byte(key)))
	}
	return k
}

// has compares with every key in a time that tells nothing of them.
func (k keyring) has(key string) bool {
	hash, found := sha256.Sum256([]byte(key)), 0
	for _, known := range k {
		found |= subtle.ConstantTimeCompare(hash[:], known[:])
	}
	return found == 1
}

type tenantKey struct{}

// tenantOf is the client's, as a hash of its key; empty where no keys are needed.
func tenantOf(ctx context.Context) string {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return tenant
}

// salted parts a tenant's requests by their salt: they share no cache with others.
func salted(tenant, salt string) string {
	if salt == "" {
		return tenant
	}
	hash := sha256.Sum256([]byte(tenant + "\x00" + salt)) // no tenant has a zero byte
	return hex.EncodeToString(hash[:16])
}

// authenticate wants a key if the server has any.
func (s *Server) authenticate(next http.Handler) http.Handler {
	if len(s.keys) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := bearer(r.Header.Get("Authorization"))
		switch {
		case !ok:
			s.fail(w, r, openai.Unauthorized("no API key given; send it as 'Authorization: Bearer KEY'"))
		case !s.keys.has(key):
			s.fail(w, r, openai.Unauthorized("the API key is not one of this server's"))
		default:
			hash := sha256.Sum256([]byte(key))
			ctx := context.WithValue(r.Context(), tenantKey{}, hex.EncodeToString(hash[:8]))
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// bearer takes the key from a header; the scheme's letters may have any case.
func bearer(header string) (string, bool) {
	scheme, key, ok := strings.Cut(header, " ")
	key = strings.TrimSpace(key)
	return key, ok && key != "" && strings.EqualFold(scheme, "Bearer")
}
