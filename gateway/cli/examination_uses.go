package cli

import (
	"fmt"
	"slices"
	"strings"
)

// use is a model that is examined, and what it is for.
type use struct {
	key     loadKey
	serves  []string
	speaks  bool // its end tokens count on a route
	chatted bool // its template does
}

// uses lists models once each, in the order in which they were added.
type uses struct {
	list []*use
	by   map[loadKey]*use
}

func (u *uses) add(folder string, run Runtime, serves string) *use {
	key := loadKey{folder, run}
	if u.by == nil {
		u.by = map[loadKey]*use{}
	}
	if u.by[key] == nil {
		u.by[key] = &use{key: key}
		u.list = append(u.list, u.by[key])
	}
	one := u.by[key]
	if serves != "" && !slices.Contains(one.serves, serves) {
		one.serves = append(one.serves, serves)
	}
	return one
}

func folderUses(folders []string, run Runtime) uses {
	var u uses
	for _, folder := range folders {
		u.add(folder, run, "")
	}
	return u
}

// configUses lists what the routes are made of; without routes, all that there is.
func configUses(c Config) uses {
	var u uses
	for _, name := range c.Routes.names {
		route := c.Routes.values[name]
		var speaker *use
		if base, ok := c.Bases.values[route.Base]; ok && !base.remote() {
			speaker = u.add(base.Folder, base.Runtime, name+": base")
		}
		for i, expert := range route.Experts.names {
			pair, ok := c.Experts.values[expert]
			if !ok {
				continue
			}
			tuned := u.add(pair.Tuned, pair.Runtime, name+": "+expert+" tuned")
			u.add(pair.Untuned, pair.Runtime, name+": "+expert+" untuned")
			if i == 0 {
				speaker = tuned
			}
		}
		if speaker != nil {
			speaker.speaks = true
			speaker.chatted = speaker.chatted || slices.ContainsFunc(roles(route), func(r rolePrompt) bool { return r.how == "chat" })
		}
	}
	if len(c.Routes.names) == 0 {
		for _, name := range c.Bases.names {
			if base := c.Bases.values[name]; !base.remote() {
				u.add(base.Folder, base.Runtime, "")
			}
		}
		for _, name := range c.Experts.names {
			pair := c.Experts.values[name]
			u.add(pair.Tuned, pair.Runtime, "")
			u.add(pair.Untuned, pair.Runtime, "")
		}
	}
	return u
}

// suffix tells ways to run one folder apart.
func (r Runtime) suffix() string {
	var parts []string
	add := func(set bool, text string) {
		if set {
			parts = append(parts, text)
		}
	}
	add(r.Graph != "", r.Graph)
	add(r.Provider != "", string(r.Provider))
	add(r.Device != 0, fmt.Sprint("device ", r.Device))
	add(r.Threads != 0, fmt.Sprint("threads ", r.Threads))
	add(r.Context != 0, fmt.Sprint("context ", r.Context))
	add(r.Exact, "exact")
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
