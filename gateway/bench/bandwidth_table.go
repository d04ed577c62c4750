package bench

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
)

// models prints a table for each small model.
func (t *tables) models(all []DecodingReport) {
	for _, m := range all {
		t.print("small model %s, %s of weights a step, %d threads; memory reads %s with one thread, %s with %d\n",
			m.Model, gigabytes(float64(m.StepBytes)), m.Threads, bandwidth(m.Memory.OneThread), bandwidth(m.Memory.AllThreads), m.Memory.Threads)
		rows := []table.Row{}
		for _, c := range m.Cells {
			rows = append(rows, table.Row{
				c.Batch, number(c.TokensPerSecond), fmt.Sprintf("%s–%s", number(c.Least), number(c.Most)), fmt.Sprintf("%.2f", c.TimesFirst),
				fmt.Sprintf("%.2f", c.BandwidthShare), fmt.Sprintf("%.2f", c.OneThreadShare),
			})
		}
		t.table(0, table.Row{"texts", "tokens/s", "rounds", "times first", "of memory", "of one thread's"}, rows)
	}
}

func gigabytes(bytes float64) string { return fmt.Sprintf("%.2f GB", bytes/1e9) }

func bandwidth(bytes float64) string { return fmt.Sprintf("%.1f GB/s", bytes/1e9) }
