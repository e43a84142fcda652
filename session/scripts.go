package session

import (
	"embed"
	"strings"

	"github.com/tickettoken/rediskit/script"
)

//go:embed lua/*.lua
var files embed.FS

// scripts are the steps of which everything consists. Each is about one key, so that no slot on its way through a
// cluster comes between.
type scripts struct {
	create, touch, extend, update, incr, flash, rotate, check, prune, list *script.Script

	// remove ends sessions. After a lost reply it is run again by removeAgain, whose reply says nothing of what the
	// first has removed.
	remove, removeAgain *script.Script
}

// server works on the server's clock.
var server = makeScripts(source("clock"))

// makeScripts composes the scripts with a beginning that tells the time. Tests have another one.
func makeScripts(clock string) *scripts {
	entry, holder := clock+source("entry"), clock+source("holder")
	both := entry + source("holder")
	remove, create := entry+source("remove"), source("create_data")+entry+source("create")
	return &scripts{
		create: script.New(create, script.Once), // an admission that is repeated could undo a revoke
		touch:  script.New(entry+source("touch"), script.Idempotent),
		extend: script.New(entry+source("extend"), script.Idempotent),
		update: script.New(holder+source("update"), script.Once),
		incr:   script.New(both+source("incr"), script.Once),
		flash:  script.New(both+source("flash"), script.Once),
		rotate: script.New(both+source("rotate"), script.Idempotent),
		check:  script.New(holder+source("check"), script.Idempotent),
		prune:  script.New(entry+source("prune"), script.Once),
		list:   script.New(entry+source("list"), script.Idempotent),

		remove:      script.New(remove, script.Once),
		removeAgain: script.New(remove, script.Idempotent),
	}
}

func source(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		text, err := files.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // it is embedded
		}
		b.Write(text)
	}
	return b.String()
}
