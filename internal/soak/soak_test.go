package soak_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/tickettoken/rediskit/internal/soak"
)

func TestScaleIsTheWholeNumberInTheEnvironment(t *testing.T) {
	for value, want := range map[string]int{"": 1, "1": 1, "250": 250} {
		t.Setenv(soak.Variable, value)
		if got := soak.Scale(); got != want {
			t.Errorf("with %s=%q: %d, want %d", soak.Variable, value, got, want)
		}
	}
}

func TestScaleIsOneWhenNothingIsSet(t *testing.T) {
	t.Setenv(soak.Variable, "") // restores what was there, after the test
	os.Unsetenv(soak.Variable)
	if got := soak.Scale(); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

func TestScalePanicsOnWhatIsNotAFactor(t *testing.T) {
	for _, value := range []string{"0", "-3", "1.5", "yes", " 2"} {
		t.Run(value, func(t *testing.T) {
			t.Setenv(soak.Variable, value)
			defer func() {
				if recover() == nil {
					t.Errorf("%s=%q was accepted", soak.Variable, value)
				}
			}()
			soak.Scale()
		})
	}
}

func ExampleScale() {
	os.Unsetenv(soak.Variable)
	rounds := 20 * soak.Scale()
	fmt.Println(rounds)
	// Output: 20
}
