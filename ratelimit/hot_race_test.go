//go:build race

package ratelimit_test

// The race detector has pools drop what they are given now and then.
const mostAllocations = 3
