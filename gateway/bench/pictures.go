package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pictures are those that the report has figures for.
func pictures(r *Report) []picture {
	out := append(ratioPictures(r.Cells), agreementPictures(r.Cells)...)
	for _, p := range []picture{firstTokenPicture(r.FirstToken), batchPicture(r.Models)} {
		if len(p.groups) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// chosen says whether a cell is one of those that are drawn: greedy answers of usual
// prompts at strength 1 that end by themselves.
func chosen(c Cell) bool {
	return c.Temperature == 0 && c.Strength == 1 && c.Answer == Natural && c.Prompt < 100 && c.Answers > 0
}

// over names what cells were measured over.
func over(c Cell) string {
	if c.Checking == "" || c.Checking == "in process" {
		return "a base " + c.Base
	}
	return c.Base + " base, " + c.Checking
}

// grid collects values by group and series, both in the order in which they come.
type grid struct {
	groups, series []string
	values         map[[2]string]float64
}

func (g *grid) set(group, series string, value float64) {
	if g.values == nil {
		g.values = map[[2]string]float64{}
	}
	if !slices.Contains(g.groups, group) {
		g.groups = append(g.groups, group)
	}
	if !slices.Contains(g.series, series) {
		g.series = append(g.series, series)
	}
	g.values[[2]string{group, series}] = value
}

// into fills a picture.
func (g *grid) into(p picture) picture {
	p.groups, p.series = g.groups, g.series
	for _, s := range g.series {
		var values []float64
		for _, group := range g.groups {
			values = append(values, g.values[[2]string{group, s}])
		}
		p.values = append(p.values, values)
	}
	return p
}

// file is a name for a picture of something.
func file(parts ...string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, strings.Join(parts, "-"))
}

// ratioPictures are the ratios by drafter and concurrency, one picture a base.
func ratioPictures(cells []Cell) []picture {
	var out []picture
	for len(cells) > 0 {
		first, grid, n := cells[0], grid{}, 0
		for ; n < len(cells) && over(cells[n]) == over(first); n++ {
			if c := cells[n]; chosen(c) && c.Lowered == 0 {
				grid.set(strconv.Itoa(c.Concurrency), c.Drafter, c.Ratio)
			}
		}
		cells = cells[n:]
		if len(grid.groups) > 0 {
			out = append(out, grid.into(picture{
				name: file("ratio", first.Base, first.Checking), title: "Proxied ÷ plain tokens a second: " + over(first),
				x: "clients at a time", y: "times the plain base", level: 1, levelName: "plain base",
			}))
		}
	}
	return out
}

// agreementPictures are the ratios of one client by how often the drafter is right.
func agreementPictures(cells []Cell) []picture {
	grids, order := map[string]*grid{}, []string{}
	lowered := false
	for _, c := range cells {
		if !chosen(c) || c.Concurrency != 1 || c.Drafter != "auto" && c.Drafter != "tuned" {
			continue
		}
		if grids[c.Drafter] == nil {
			grids[c.Drafter], order = &grid{}, append(order, c.Drafter)
		}
		name := "its own"
		if c.Lowered > 0 {
			lowered, name = true, fmt.Sprintf("lowered to %g", c.Lowered)
		}
		if c.Base == "simulated" {
			grids[c.Drafter].set(name, c.Checking, c.Ratio)
		}
	}
	if !lowered {
		return nil
	}
	var out []picture
	for _, drafter := range order {
		out = append(out, grids[drafter].into(picture{
			name: file("agreement", drafter), title: "Proxied ÷ plain tokens a second by agreement: simulated base, drafter " + drafter,
			x: "share of guesses that are right", y: "times the plain base", level: 1, levelName: "plain base",
		}))
	}
	return out
}

func firstTokenPicture(all []FirstToken) picture {
	var g grid
	for _, f := range all {
		g.set(f.Prefix, "", 1000*f.P50)
	}
	title := "Time to the first token of a repeated prompt"
	if len(all) > 0 {
		title += fmt.Sprintf(" of %.0f tokens", all[0].Prompt)
	}
	return g.into(picture{name: "first-token", title: title, x: "where the prompt is known from", y: "milliseconds"})
}

// batchPicture shows what small models reach, beside what memory would allow if every
// step read its weights once.
func batchPicture(all []DecodingReport) picture {
	var g grid
	for _, m := range all {
		for _, c := range m.Cells {
			batch := strconv.Itoa(c.Batch)
			g.set(batch, m.Model, c.TokensPerSecond)
			if c.BytesPerStep > 0 {
				g.set(batch, "memory's bound for "+m.Model, float64(c.Batch)*m.Memory.Best()/c.BytesPerStep)
			}
		}
	}
	return g.into(picture{name: "batches", title: "Small models: tokens a second by batch", x: "texts at a time", y: "tokens a second", lines: true})
}
