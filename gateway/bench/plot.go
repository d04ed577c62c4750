package bench

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The size of a picture, and of the space that a group of bars fills.
const (
	pictureWidth  = 640 * vg.Length(.75) // points; 640 pixels
	pictureHeight = 300 * vg.Length(.75)
	barsWidth     = .7 * 560 * vg.Length(.75) // of all groups together
)

// ink is read on white paper and on black: pictures have no paper of their own.
func ink() color.Color { return color.NRGBA{0x80, 0x88, 0x92, 0xff} }

// paint is the colour of the i-th thing that is told apart, and of drafters by their name.
// Colours differ in lightness, too (Okabe and Ito's palette, which people with any sight of
// colours can read).
func paint(i int, name string) color.Color {
	green, orange, blue := color.NRGBA{0x00, 0x9e, 0x73, 0xff}, color.NRGBA{0xe6, 0x9f, 0x00, 0xff}, color.NRGBA{0x38, 0x8b, 0xd6, 0xff}
	switch name {
	case "off":
		return color.NRGBA{0x99, 0x99, 0x99, 0xff}
	case "tuned":
		return green
	case "base":
		return orange
	case "auto":
		return blue
	}
	colors := []color.Color{blue, orange, green, color.NRGBA{0xcc, 0x79, 0xa7, 0xff}, color.NRGBA{0xd5, 0x5e, 0x00, 0xff}}
	return colors[i%len(colors)]
}

// WritePlots draws what the report has figures for into SVG files in a folder, and
// returns their names.
func WritePlots(dir string, r *Report) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("plots: %w", err)
	}
	var names []string
	for _, p := range pictures(r) {
		text, err := p.draw()
		if err != nil {
			return names, fmt.Errorf("plots: %s: %w", p.name, err)
		}
		name := p.name + ".svg"
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return names, fmt.Errorf("plots: %w", err)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("plots: the report has no figures to draw; run graft bench without --only")
	}
	return names, nil
}

// picture is bars in groups, or lines over the groups' places.
type picture struct {
	name, title, x, y string
	groups            []string    // names on the horizontal axis
	series            []string    // what is told apart by colour
	values            [][]float64 // by series, then group; 0 is not there
	lines             bool
	level             float64 // a line across, 0 for none
	levelName         string
}

// draw renders the picture.
func (p picture) draw() ([]byte, error) {
	canvas := vgsvg.NewWith(vgsvg.UseWH(pictureWidth, pictureHeight))
	out := plot.New()
	p.style(out)
	width := min(barsWidth/vg.Length(len(p.groups)*len(p.series)), 40)
	for i, values := range p.values {
		thumbnail, err := p.add(out, i, values, width)
		if err != nil {
			return nil, err
		}
		if len(p.series) > 1 || p.series[i] != "" {
			out.Legend.Add(p.series[i], thumbnail)
		}
	}
	if p.level != 0 {
		level := plotter.NewFunction(func(float64) float64 { return p.level })
		level.Color, level.Dashes = ink(), []vg.Length{4, 4}
		out.Add(level)
		out.Legend.Add(p.levelName, level)
	}
	out.NominalX(p.groups...)
	out.X.Min, out.X.Max = -.5, float64(len(p.groups))-.5
	out.Y.Min = 0
	out.Y.Max *= 1.15 // room for the numbers over the bars
	out.Draw(draw.Crop(draw.New(canvas), 4, -8, 4, -4))
	var text bytes.Buffer
	if _, err := canvas.WriteTo(&text); err != nil {
		return nil, err
	}
	return p.readable(text.Bytes()), nil
}

// readable names fonts that readers have, and says in words what is drawn.
func (p picture) readable(svg []byte) []byte {
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	svg = bytes.Replace(svg, []byte(`width="480pt" height="225pt"`), []byte(`width="640" height="300" role="img"`), 1)
	head, rest, found := bytes.Cut(svg, []byte("<g "))
	if !found {
		return svg
	}
	return slices.Concat(head, []byte("<title>"+escape(p.title)+"</title>\n<g "), rest)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// style gives axes and texts their looks.
func (p picture) style(out *plot.Plot) {
	out.BackgroundColor = nil
	out.Title.Text, out.X.Label.Text, out.Y.Label.Text = p.title, p.x, p.y
	sans := func(f *font.Font, size vg.Length) {
		*f = font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	}
	sans(&out.Title.TextStyle.Font, 11)
	sans(&out.Legend.TextStyle.Font, 9)
	out.Title.TextStyle.Color, out.Legend.TextStyle.Color = ink(), ink()
	out.Title.Padding = 6
	for _, axis := range []*plot.Axis{&out.X, &out.Y} {
		sans(&axis.Label.TextStyle.Font, 9)
		sans(&axis.Tick.Label.Font, 9)
		axis.Label.TextStyle.Color, axis.Tick.Label.Color = ink(), ink()
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = ink(), ink()
	}
	out.Y.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick {
		ticks := plot.DefaultTicks{}.Ticks(least, most)
		for i, t := range ticks {
			if t.Label != "" {
				ticks[i].Label = humanize.CommafWithDigits(t.Value, 2)
			}
		}
		return ticks
	})
	out.Legend.Top, out.Legend.Left = true, p.lines // lines go up to the right
	out.Legend.ThumbnailWidth, out.Legend.Padding = 12, 1
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.NRGBA{0x80, 0x88, 0x92, 0x60}
	out.Add(grid)
}

// add draws one series and returns what stands for it in the legend.
func (p picture) add(out *plot.Plot, i int, values []float64, width vg.Length) (plot.Thumbnailer, error) {
	if p.lines {
		points := make(plotter.XYs, 0, len(values))
		for at, v := range values {
			if v > 0 {
				points = append(points, plotter.XY{X: float64(at), Y: v})
			}
		}
		line, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, marks.Color, marks.Shape = paint(i, p.series[i]), 1.5, paint(i, p.series[i]), draw.CircleGlyph{}
		out.Add(line, marks)
		return line, nil
	}
	bars, err := plotter.NewBarChart(plotter.Values(values), width-1)
	if err != nil {
		return nil, err
	}
	bars.Color, bars.LineStyle.Width = paint(i, p.series[i]), 0
	bars.Offset = width * (vg.Length(i) - vg.Length(len(p.series)-1)/2)
	out.Add(bars)
	return bars, p.numbers(out, bars.Offset, values)
}

// numbers writes values over their bars.
func (p picture) numbers(out *plot.Plot, offset vg.Length, values []float64) error {
	var at plotter.XYLabels
	for x, v := range values {
		if v > 0 {
			at.XYs, at.Labels = append(at.XYs, plotter.XY{X: float64(x), Y: v}), append(at.Labels, short(v))
		}
	}
	if len(at.Labels) == 0 {
		return nil
	}
	labels, err := plotter.NewLabels(at)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		style := &labels.TextStyle[i]
		style.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 7}
		style.Color, style.XAlign = ink(), draw.XCenter
	}
	labels.Offset = vg.Point{X: offset, Y: 2}
	out.Add(labels)
	return nil
}

// short has two figures or three.
func short(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return humanize.Comma(int64(v + .5))
}
