package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/graft-gateway/graft/gateway/bench"
	"github.com/graft-gateway/graft/gateway/bench/simulated"
)

// overhead is the section over a base that answers at once.
func (b *benchMeasure) overhead(s stand) bench.Section {
	o := bench.Overhead{Start: s.instant}
	if b.Quick {
		o.Concurrency, o.Lengths, o.Rounds, o.Tokens, o.Lasts = []int{1, 64}, []int{1, 32}, 1, 1024, 700*time.Millisecond
	}
	return bench.Overheads(o)
}

// instant stands a gateway with two routes before a base that answers at once: one that
// passes requests on, and one whose decode loop takes every row. Its experts have no
// weight in what is asked, so that no small model runs.
func (s stand) instant(ctx context.Context) (on bench.OverheadStand, err error) {
	w := newWiring(s.env, "", s.log)
	server, err := w.simulated(simulated.Config{Log: s.log})
	if err != nil {
		return on, errors.Join(err, w.close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		server.Close()
		return on, errors.Join(err, w.close())
	}
	base := bench.NewInstant(server)
	serving := &http.Server{Handler: base}
	go serving.Serve(listener) // ends with Close
	end := func() error {
		err := serving.Close()
		server.Close()
		return errors.Join(err, w.close())
	}
	url := "http://" + listener.Addr().String() + "/v1"
	config := withPassThrough(over(BaseModel{BaseServer: BaseServer{URL: url, Model: simulatedModel, Dialect: "vllm"}}))
	gateway, endGateway, err := s.gateway(ctx, config, nil)
	if err != nil {
		return on, errors.Join(err, end())
	}
	base.Prepare(true, 0)
	direct := bench.Call{URL: url + "/completions", Body: counted(simulatedModel, "")}
	to := func(model, knob string) bench.Call {
		return bench.Call{URL: gateway + "/completions", Body: counted(model, knob)}
	}
	return bench.OverheadStand{
		Pace: func(pace time.Duration) { base.Prepare(true, pace) },
		Ways: []bench.Way{
			{Name: "pass-through", Direct: direct, Through: to(plainRoute, "")},
			{Name: "decode loop", Direct: direct, Through: to(proxiedRoute, `,"tuning":{"strength":0,"draft":"off"}`)},
		},
		Close: func() error { return errors.Join(endGateway(), end()) },
	}, nil
}

// withPassThrough adds a route to a base server alone.
func withPassThrough(c Config) Config {
	c.Routes.names = append(c.Routes.names, plainRoute)
	c.Routes.values[plainRoute] = RouteConfig{Base: largeBase}
	return c
}

// counted is a request whose prompt spells its number, in tokens that the embedded
// vocabulary has.
func counted(model, knob string) func(tokens int, number int64) []byte {
	return func(tokens int, number int64) []byte {
		const first, digits = 100, 500
		return fmt.Appendf(nil, `{"model":%q,"prompt":[%d,%d,%d],"max_tokens":%d,"ignore_eos":true,"temperature":0,"stream":true%s}`,
			model, first+number/digits/digits%digits, first+number/digits%digits, first+number%digits, tokens, knob)
	}
}
