// Graft is a gateway that makes a large language model behave as if it had been
// fine-tuned, while it decodes. See README.md.
package main

import (
	"os"

	"github.com/graft-gateway/graft/gateway/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
