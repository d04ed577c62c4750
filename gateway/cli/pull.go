package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/graft-gateway/graft/models/hub"
)

// pull is the command that fetches a model folder.
type pull struct {
	Repository string `arg:"" help:"Repository of the Hub, such as onnx-community/Qwen2.5-0.5B-Instruct." placeholder:"OWNER/NAME"`
	Variant    string `help:"Which of several graphs: fp16, int8, uint8, quantized, q4, q4f16, bnb4 …, a folder, or a graph's path; model.onnx without it." placeholder:"NAME"`
	Revision   string `help:"Branch, tag or commit." default:"main"`
	To         string `help:"Folder to put the files into; ./models/NAME without it." placeholder:"DIR"`
	List       bool   `help:"Only tell the variants and their sizes."`
	JSON       bool   `name:"json" help:"Tell the result as JSON."`
	Endpoint   string `help:"Address of the Hub or of a mirror." default:"https://huggingface.co" env:"HF_ENDPOINT" placeholder:"URL"`
}

// Help is what `graft pull --help` says below its first line.
func (*pull) Help() string {
	return `Fetches a graph with its weights, the tokenizer and the configuration; checks
sizes and hashes; and goes on where an earlier try was broken off. Repositories
that are gated or private need a token in HF_TOKEN (or HUGGING_FACE_HUB_TOKEN, or
in the file that HF_TOKEN_PATH names).

  graft pull onnx-community/Qwen2.5-0.5B-Instruct --list
  graft pull onnx-community/Qwen2.5-0.5B-Instruct --variant q4f16`
}

// Run fetches, or lists.
func (c *pull) Run(ctx context.Context) error {
	token, err := hubToken(os.Getenv, os.ReadFile)
	if err != nil {
		return err
	}
	h, err := hub.New(hub.Options{Endpoint: c.Endpoint, Token: token, Retrying: lines{os.Stderr}.retrying})
	if err != nil {
		return err
	}
	listing, err := h.List(ctx, c.Repository, c.Revision)
	if err != nil {
		return interruption(ctx, err, "")
	}
	chosen, err := listing.Choose(c.Variant)
	if c.List {
		return c.list(os.Stdout, listing, chosen, err)
	}
	if err != nil {
		return err
	}
	plan, err := listing.Plan(chosen)
	if err != nil {
		return err
	}
	dir := c.folder()
	display := newDisplay(os.Stderr, plan)
	result, err := h.Pull(ctx, plan, dir, display)
	display.close()
	if err != nil {
		return interruption(ctx, err, dir)
	}
	return c.tell(os.Stdout, os.Stderr, plan, dir, result)
}

// folder is where the files go, as a configuration would name it.
func (c *pull) folder() string {
	if c.To != "" {
		return c.To
	}
	return "." + string(filepath.Separator) + filepath.Join("models", path.Base(c.Repository))
}

// interrupted is what Ctrl-C does, in words.
type interrupted string

func (i interrupted) Error() string { return string(i) }

// Unwrap makes it an interruption to Main.
func (i interrupted) Unwrap() error { return context.Canceled }

func interruption(ctx context.Context, err error, dir string) error {
	switch {
	case ctx.Err() == nil:
		return err
	case dir == "":
		return interrupted("interrupted before anything was fetched")
	}
	return interrupted("interrupted: what has arrived is kept in " + dir + ", and the same command goes on from there")
}

// hubToken finds the token in the environment.
func hubToken(env func(string) string, read func(string) ([]byte, error)) (string, error) {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if token := strings.TrimSpace(env(name)); token != "" {
			return token, nil
		}
	}
	file := env("HF_TOKEN_PATH")
	if file == "" {
		return "", nil
	}
	data, err := read(file)
	if err != nil {
		return "", fmt.Errorf("HF_TOKEN_PATH: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// What --json writes.
type (
	variantJSON struct {
		Name    string `json:"name"`
		Graph   string `json:"graph"`
		Bytes   int64  `json:"bytes"`
		Default bool   `json:"default"` // what is fetched without --variant
	}
	listJSON struct {
		Repository string        `json:"repository"`
		Revision   string        `json:"revision"`
		Commit     string        `json:"commit"`
		Variants   []variantJSON `json:"variants"`
	}
	fileJSON struct {
		Path   string      `json:"path"`
		Bytes  int64       `json:"bytes"`
		Digest string      `json:"digest"`
		How    hub.Outcome `json:"how"`
	}
	pullJSON struct {
		Repository string     `json:"repository"`
		Revision   string     `json:"revision"`
		Commit     string     `json:"commit"`
		Variant    string     `json:"variant"`
		Folder     string     `json:"folder"` // to be served
		Graph      string     `json:"graph"`  // within it
		Bytes      int64      `json:"bytes"`
		Received   int64      `json:"received"` // over the network, this time
		Files      []fileJSON `json:"files"`
		Notes      []string   `json:"notes"`
	}
)

// list tells the variants. That none could be chosen is no failure here, unless there
// is none.
func (c *pull) list(w io.Writer, l *hub.Listing, chosen hub.Variant, err error) error {
	variants := l.Variants()
	if len(variants) == 0 || c.Variant != "" && err != nil {
		return err
	}
	if c.JSON {
		out := listJSON{Repository: l.Repository, Revision: l.Revision, Commit: l.Commit}
		for _, v := range variants {
			out.Variants = append(out.Variants, variantJSON{v.Name, v.Graph.Path, v.Bytes(), err == nil && v.Graph.Path == chosen.Graph.Path})
		}
		return json.NewEncoder(w).Encode(out)
	}
	fmt.Fprintf(w, "%s at %s:\n%s\n", l.Repository, commitName(l), hub.Table(variants))
	if err != nil {
		fmt.Fprintln(w, "Choose one with --variant.")
		return nil
	}
	fmt.Fprintf(w, "Without --variant, %s is fetched.\n", chosen.Name)
	return nil
}

func commitName(l *hub.Listing) string {
	if l.Commit == "" {
		return l.Revision
	}
	return l.Commit[:12]
}

// tell says what was done, and how to go on.
func (c *pull) tell(w, notes io.Writer, p hub.Plan, dir string, r hub.Result) error {
	folder := dir
	if p.Home != "." {
		folder = filepath.Join(dir, filepath.FromSlash(p.Home))
		if !filepath.IsAbs(folder) {
			folder = "." + string(filepath.Separator) + folder
		}
	}
	out := pullJSON{
		Repository: p.Listing.Repository, Revision: p.Listing.Revision, Commit: p.Listing.Commit, Variant: p.Variant.Name,
		Folder: folder, Graph: p.Graph(), Received: r.Received, Notes: append([]string{}, r.Notes...),
	}
	counts := map[hub.Outcome]int{}
	for _, f := range r.Files {
		out.Bytes += f.Size
		out.Files = append(out.Files, fileJSON{f.Path, f.Size, string(f.Digest), f.How})
		counts[f.How]++
	}
	for _, note := range r.Notes {
		fmt.Fprintln(notes, "note:", note)
	}
	if c.JSON {
		return json.NewEncoder(w).Encode(out)
	}
	var how []string
	for _, o := range []hub.Outcome{hub.Fetched, hub.Resumed, hub.Replaced, hub.Present} {
		if counts[o] > 0 {
			how = append(how, fmt.Sprintf("%d %s", counts[o], o))
		}
	}
	graph := ""
	if g := p.Graph(); g != "model.onnx" && g != "onnx/model.onnx" {
		graph = ", graph: " + quoted(g)
	}
	fmt.Fprintf(w, "%s holds %s of %s at %s: %s in %d files (%s).\n", folder, p.Variant.Name, p.Listing.Repository,
		commitName(p.Listing), humanize.Bytes(uint64(out.Bytes)), len(r.Files), strings.Join(how, ", "))
	fmt.Fprintf(w, "In a configuration, as a base or as one of a pair:\n\n    bases:   {large: {folder: %s%s}}\n    experts: {chat: {tuned: %s, untuned: FOLDER%s}}\n",
		quoted(folder), graph, quoted(folder), graph)
	return nil
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9./_][\w./-]*$`)

// quoted writes a path as YAML reads it.
func quoted(path string) string {
	if plainScalar.MatchString(path) {
		return path
	}
	return strconv.Quote(path)
}
