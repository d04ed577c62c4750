package openai

import (
	"errors"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/openai/openaitest"
)

// TestSequencesFollowTheModel decodes as the gateway does: with and without paths, and
// off the base's own way now and then.
func TestSequencesFollowTheModel(t *testing.T) {
	for name, options := range map[string]openaitest.Options{
		"all it can": {AsIDs: true, Lists: true}, "one by one": {AsIDs: true, SilentStream: true}, "bytes": {Chat: true, Bytes: true, Lists: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := start(t, options)
			base, err := proxy.Connect(t.Context(), proxy.Config{
				Name: "tiny", Client: client, Dialects: []proxy.Dialect{Dialect{}},
				Want: proxy.Want{TopLogprobs: 8, Vocabulary: eft.NewVocabulary(pieces())},
			})
			if err != nil {
				t.Fatal(err)
			}
			prompt := []eft.Token{3, 1, 4}
			sequence := base.Open("ann", prompt)
			defer sequence.Close()
			var generated []eft.Token
			for n := range 60 {
				var path []eft.Token
				if n%7 == 3 && base.Caps().Tokens == proxy.TokenIDs {
					path = []eft.Token{eft.Token(n % 30), 2}
				}
				rows, err := sequence.Rows(t.Context(), generated, path)
				check(t, append(rows, eft.Row{})[0], err, slices.Concat(prompt, generated), 8, base.Caps().Tokens, options)
				if err != nil {
					return // a token that cannot be told; check has seen to it
				}
				for i, row := range rows {
					check(t, row, nil, slices.Concat(prompt, generated, path[:i]), 8, base.Caps().Tokens, options)
				}
				next := rows[0].IDs[0]
				if n%11 == 10 && len(rows[0].IDs) > 1 {
					next = rows[0].IDs[1]
				}
				generated = append(generated, next)
			}
		})
	}
}

// Another model may come to answer by the same name, which the list of models does not
// tell and no new connection shows.
func TestAModelThatIsExchangedUnderItsName(t *testing.T) {
	options := openaitest.Options{AsIDs: true, Answers: "tiny-0101"}
	server, client := start(t, options)
	base, err := proxy.Connect(t.Context(), proxy.Config{
		Name: "tiny", Client: client, Dialects: []proxy.Dialect{Dialect{}},
		Want: proxy.Want{TopLogprobs: 8, Vocabulary: eft.NewVocabulary(pieces())},
	})
	if err != nil {
		t.Fatal(err)
	}
	prompt := []eft.Token{3, 1, 4}
	old := base.Open("ann", prompt)
	defer old.Close()
	was := old.Identity()
	if _, err := old.Rows(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	options.Answers, options.Pieces = "tiny-0202", pieces()
	server.Restart(options)
	young := base.Open("ann", prompt)
	defer young.Close()
	rows, err := young.Rows(t.Context(), nil, nil)
	check(t, append(rows, eft.Row{})[0], err, prompt, 8, base.Caps().Tokens, options)
	if now := young.Identity(); err != nil || now == was {
		t.Errorf("the model is %s, and was %s; %v", now, was, err)
	}
	var fault *proxy.Error
	if _, err := old.Rows(t.Context(), []eft.Token{5}, nil); !errors.As(err, &fault) || fault.Fault != proxy.Changed {
		t.Errorf("a text of the old model goes on with %v", err)
	}
}
