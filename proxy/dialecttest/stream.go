package dialecttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
)

// Streamed reads a stream of at most 4 tokens, each the best of its row, and wants
// "3 4 EOF" for two tokens and the end, or "3 4|cut" for two tokens and an error that
// says cut.
func Streamed(t *testing.T, text proxy.Text, want string) {
	t.Helper()
	stream, err := text.Continue(t.Context(), []eft.Token{1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	rows, tokens, err := read(stream)
	for i, row := range rows {
		if row.IDs[0] != tokens[i] {
			t.Errorf("row %v of token %d", row, tokens[i])
		}
	}
	told, says, fails := strings.Cut(want, "|")
	if !fails {
		told, says = strings.TrimSuffix(want, " EOF"), "EOF"
	}
	if got := strings.Trim(fmt.Sprint(tokens), "[]"); got != told || !strings.Contains(err.Error(), says) {
		t.Errorf("tokens %s, error %v, want %s", got, err, want)
	}
}

// read reads a stream to its end, which is io.EOF, or to what broke it.
func read(stream proxy.Continuation) (rows []eft.Row, tokens []eft.Token, err error) {
	for {
		row, token, err := stream.Next()
		if err != nil {
			return rows, tokens, err
		}
		rows, tokens = append(rows, row), append(tokens, token)
	}
}
