package openai

import (
	"errors"
	"slices"
	"testing"

	"github.com/graft-gateway/graft/eft"
	"github.com/graft-gateway/graft/proxy"
	"github.com/graft-gateway/graft/proxy/dialecttest"
	"github.com/graft-gateway/graft/proxy/openai/openaitest"
)

// based is a base that speaks this dialect, with the tests' vocabulary.
func based(t *testing.T, client *proxy.Client) *proxy.Base {
	t.Helper()
	return dialecttest.Connect(t, proxy.Config{
		Name: "tiny", Client: client, Dialects: []proxy.Dialect{Dialect{}},
		Want: proxy.Want{TopLogprobs: 8, Vocabulary: eft.NewVocabulary(pieces())},
	})
}

func TestSequencesFollowTheModel(t *testing.T) {
	for name, options := range map[string]openaitest.Options{
		"all it can": {AsIDs: true, Lists: true}, "one by one": {AsIDs: true, SilentStream: true}, "bytes": {Chat: true, Bytes: true, Lists: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := start(t, options)
			base, prompt := based(t, client), []eft.Token{3, 1, 4}
			dialecttest.Decode(t, base, prompt, func(r dialecttest.Round) bool {
				check(t, append(r.Rows, eft.Row{})[0], r.Err, slices.Concat(prompt, r.Generated), 8, base.Caps().Tokens, options)
				for i, row := range r.Rows {
					check(t, row, nil, slices.Concat(prompt, r.Generated, r.Path[:i]), 8, base.Caps().Tokens, options)
				}
				return r.Err == nil // or it was a token that cannot be told; check has seen to it
			})
		})
	}
}

// Another model may come to answer by the same name, which the list of models does not
// tell and no new connection shows.
func TestAModelThatIsExchangedUnderItsName(t *testing.T) {
	options := openaitest.Options{AsIDs: true, Answers: "tiny-0101"}
	server, client := start(t, options)
	base, prompt := based(t, client), []eft.Token{3, 1, 4}
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
