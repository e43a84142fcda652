// Package script runs Lua scripts on Redis, where they are atomic.
package script
