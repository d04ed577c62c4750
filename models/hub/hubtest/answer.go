package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answer is the first host: the API, and files or where they are.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(path, "api/resolve-cache/models/"); ok {
		// OWNER/NAME/COMMIT/PATH
		parts := strings.SplitN(rest, "/", 4)
		if repo, ok := s.repos[strings.Join(parts[:min(2, len(parts))], "/")]; ok && len(parts) == 4 && s.allowed(w, r, repo) {
			s.file(w, r, repo, parts[3], false)
		}
		return
	}
	api, isAPI := strings.CutPrefix(path, "api/models/")
	for _, verb := range []string{"/revision/", "/tree/", "/resolve/"} {
		name, rest, ok := strings.Cut(api, verb)
		if !ok || isAPI == (verb == "/resolve/") {
			continue
		}
		revision, file, _ := strings.Cut(rest, "/")
		revision, _ = url.PathUnescape(revision)
		repo, known := s.repos[name]
		switch {
		case !known && s.Token != "" && r.Header.Get("Authorization") == "Bearer "+s.Token:
			refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
		case !known:
			refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
		case !s.allowed(w, r, repo):
		case !repo.has(revision):
			refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		case verb == "/revision/":
			s.info(w, r, repo)
		case verb == "/tree/":
			s.tree(w, r, repo)
		default:
			s.file(w, r, repo, file, !s.Direct)
		}
		return
	}
	http.NotFound(w, r)
}

// allowed refuses who may not read a repository.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request, repo Repo) bool {
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case given != "" && given != s.Token && given != Stranger:
		refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
	case repo.Gated && given == "":
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model "+repo.Name+" is restricted. You must have access to it and be authenticated to access it. Please log in.")
	case repo.Gated && given != s.Token:
		refuse(w, http.StatusForbidden, "GatedRepo", "Access to model "+repo.Name+" is restricted and you are not in the authorized list.")
	case repo.Private && given == "":
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
	case repo.Private && given != s.Token:
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
	default:
		return true
	}
	return false
}

func (s *Server) info(w http.ResponseWriter, r *http.Request, repo Repo) {
	if fault, ok := s.fault("revision"); ok && fault.answer(w, r) {
		return
	}
	if s.NoRevision {
		http.NotFound(w, r)
		return
	}
	type sibling struct {
		Name string `json:"rfilename"`
	}
	siblings := []sibling{}
	for _, e := range repo.entries() {
		if e.Type == "file" {
			siblings = append(siblings, sibling{e.Path})
		}
	}
	writeJSON(w, map[string]any{"id": repo.Name, "modelId": repo.Name, "sha": repo.commit, "private": repo.Private, "gated": repo.Gated, "siblings": siblings})
}

func (s *Server) tree(w http.ResponseWriter, r *http.Request, repo Repo) {
	if fault, ok := s.fault("tree"); ok && fault.answer(w, r) {
		return
	}
	if s.NoTree {
		http.NotFound(w, r)
		return
	}
	entries := repo.entries()
	if r.URL.Query().Get("recursive") != "true" {
		top := entries[:0:0]
		for _, e := range entries {
			if !strings.Contains(e.Path, "/") {
				top = append(top, e)
			}
		}
		entries = top
	}
	for i := range entries {
		if s.NoHashes {
			entries[i].OID, entries[i].LFS = "", nil
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	from = min(max(from, 0), len(entries))
	if end := from + s.PageSize; s.PageSize > 0 && end < len(entries) {
		entries = entries[:end]
		w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?recursive=true&limit=%d&cursor=%d>; rel="next"`, r.Host, r.URL.EscapedPath(), s.PageSize, end))
	}
	w.Header().Set("X-Repo-Commit", repo.commit)
	writeJSON(w, entries[from:])
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v) // a client that left
}

// file hands out a small file, or tells where a large one is.
func (s *Server) file(w http.ResponseWriter, r *http.Request, repo Repo, escaped string, redirect bool) {
	name, _ := url.PathUnescape(escaped)
	content, ok := repo.Files[name]
	w.Header().Set("X-Repo-Commit", repo.commit)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
	case large(name):
		w.Header().Set("X-Linked-Etag", s.etag(repo, name))
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(content)))
		at := url.URL{Scheme: "http", Host: s.address[1], Path: "/" + repo.Name + "/" + repo.digest(name), RawQuery: url.Values{"file": {name}, "Signature": {"secret"}}.Encode()}
		http.Redirect(w, r, at.String(), http.StatusFound)
	case redirect:
		w.Header().Set("X-Linked-Etag", s.etag(repo, name))
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(content)))
		http.Redirect(w, r, "/api/resolve-cache/models/"+repo.Name+"/"+repo.commit+"/"+escaped, http.StatusTemporaryRedirect)
	default:
		w.Header().Set("ETag", s.etag(repo, name))
		s.send(w, r, name, content)
	}
}

// etag is a file's hash, or what a mirror makes of its own.
func (s *Server) etag(repo Repo, name string) string {
	if s.OwnETags {
		return fmt.Sprintf(`"%x-%d"`, len(repo.Files[name]), 1)
	}
	return `"` + repo.digest(name) + `"`
}

// store is the second host.
func (s *Server) store(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("Signature") != "secret" {
		http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return
	}
	for _, repo := range s.repos {
		name := r.URL.Query().Get("file")
		if content, ok := repo.Files[name]; ok && r.URL.Path == "/"+repo.Name+"/"+repo.digest(name) {
			w.Header().Set("ETag", fmt.Sprintf(`"%x-%d"`, len(content), 1)) // storage has its own
			s.send(w, r, name, content)
			return
		}
	}
	http.NotFound(w, r)
}

// send serves content, by ranges too, with the next fault that was ordered.
func (s *Server) send(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	fault, ok := s.fault(name)
	switch {
	case !ok:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	case !fault.answer(w, r):
		fault.send(w, r, content)
	}
}
