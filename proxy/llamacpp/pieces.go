package llamacpp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// pieceChunk is how many ids' pieces one request asks for: below a megabyte each way.
const pieceChunk = 1 << 15

// piece is what an id stands for: text, or a list of bytes where that is no UTF-8.
type piece []byte

func (p *piece) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		err := json.Unmarshal(data, &text)
		*p = []byte(text)
		return err
	}
	var numbers []int
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	*p = make(piece, len(numbers))
	for i, n := range numbers {
		if n < 0 || n > 255 {
			return fmt.Errorf("a piece has the byte %d", n)
		}
		(*p)[i] = byte(n)
	}
	return nil
}

// comparePieces refuses a server whose ids stand for other bytes than the pairs'. Where
// one side gives an id no bytes, as for unused and padding ids, there is nothing to
// compare. POST /tokenize takes ids among text and tells their pieces, so nothing has
// to be evaluated.
func (s *server) comparePieces(ctx context.Context, vocabulary *eft.Vocabulary) error {
	var ids []eft.Token
	for id := eft.Token(0); int(id) < vocabulary.Size(); id++ {
		if len(vocabulary.Piece(id)) > 0 {
			ids = append(ids, id)
		}
	}
	var differ []string
	for chunk := range slices.Chunk(ids, pieceChunk) {
		pieces, err := s.pieces(ctx, chunk)
		var fault *proxy.Error
		if errors.As(err, &fault) && fault.Status/100 == 4 && fault.Fault == proxy.Refused || fault != nil && fault.Fault == proxy.Malformed {
			s.caps.Notes = append(s.caps.Notes, "this llama-server does not tell what its ids stand for, so only the number of ids was compared with the pairs': update it")
			return nil
		} else if err != nil {
			return err
		}
		for i, id := range chunk {
			if ours := vocabulary.Piece(id); len(pieces[i]) > 0 && !bytes.Equal(pieces[i], ours) && len(differ) < 5 {
				differ = append(differ, fmt.Sprintf("%d is %q there and %q in the pairs", id, pieces[i], ours))
			}
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("the server's vocabulary is not the pairs': id %s; serve a model of the pairs' family, or take pairs of its", strings.Join(differ, ", "))
	}
	return nil
}

// vocabulary is the server's own.
func (s *server) vocabulary(ctx context.Context) (*eft.Vocabulary, error) {
	ids := make([]eft.Token, s.caps.VocabSize)
	for i := range ids {
		ids[i] = eft.Token(i)
	}
	var all [][]byte
	for chunk := range slices.Chunk(ids, pieceChunk) {
		pieces, err := s.pieces(ctx, chunk)
		if err != nil {
			return nil, fmt.Errorf("what the server's ids stand for cannot be had: %w", err)
		}
		for _, p := range pieces {
			all = append(all, p)
		}
	}
	return eft.NewVocabulary(all), nil
}

// pieces asks what ids stand for.
func (s *server) pieces(ctx context.Context, ids []eft.Token) ([]piece, error) {
	in := struct {
		Model   string      `json:"model,omitempty"`
		Content []eft.Token `json:"content"`
		Pieces  bool        `json:"with_pieces"`
		Add     bool        `json:"add_special"`
	}{s.caps.Model, ids, true, false}
	var out struct {
		Tokens []struct {
			ID    eft.Token `json:"id"`
			Piece piece     `json:"piece"`
		} `json:"tokens"`
	}
	if err := s.client.Post(ctx, "/tokenize", in, &out); err != nil {
		return nil, err
	}
	if len(out.Tokens) != len(ids) {
		return nil, s.client.Malformed("POST /tokenize", "%d tokens for %d ids", len(out.Tokens), len(ids))
	}
	pieces := make([]piece, len(ids))
	for i, t := range out.Tokens {
		if t.ID != ids[i] {
			return nil, s.client.Malformed("POST /tokenize", "id %d for %d", t.ID, ids[i])
		}
		pieces[i] = t.Piece
	}
	return pieces, nil
}
