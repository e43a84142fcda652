// Package soak lets one test be two: short whenever the tests run, and as long
// as somebody has patience for under make soak.
//
// Such a test has Soak in its name, by which make soak finds it, and multiplies
// by [Scale] whatever makes it long: rounds, elements, seconds. It never skips:
// the short form proves the same thing with less luck.
//
//	func TestSoakLosesNothingWhileWorkersDie(t *testing.T) {
//		jobs := 200 * soak.Scale()
//		...
//	}
package soak

import (
	"fmt"
	"os"
	"strconv"
)

// Variable names the environment variable that holds the factor.
const Variable = "REDISKIT_SOAK"

// Scale returns how many times longer than usual a soak test should run: the
// whole number in REDISKIT_SOAK, or 1 if that is not set. It panics when it
// cannot tell, because a test that meant to run for hours must not pass in
// seconds.
func Scale() int {
	value, set := os.LookupEnv(Variable)
	if !set || value == "" {
		return 1
	}
	factor, err := strconv.Atoi(value)
	if err != nil || factor < 1 {
		panic(fmt.Sprintf("soak: %s is %q, want a whole number of 1 or more", Variable, value))
	}
	return factor
}
