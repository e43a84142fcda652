package keys_test

import (
	"fmt"

	"github.com/tickettoken/rediskit/keys"
)

func Example() {
	b, err := keys.New("prod")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Session("8f3c"))
	fmt.Println(b.Cache("event", "7"))

	// Text from users stays inside its part, also in patterns.
	fmt.Println(b.Build("report", "a:b*", ""))
	fmt.Println(b.Prefix("report", "*"))

	// Output:
	// prod/session:8f3c
	// prod/cache:event:7
	// prod/report:a%3Ab%2A:%empty
	// prod/report:%2A:*
}

func ExampleBuilder_Tagged() {
	b := keys.MustNew("prod")
	cart := b.Tagged("42", "cart").String()
	total := b.Tagged("42", "cart", "total").String()
	fmt.Println(cart, total, keys.SameSlot(cart, total))
	// Output: prod/cart:{42} prod/cart:{42}:total true
}

func ExampleSub() {
	mail := keys.MustNew("prod").Queue("mail")
	dead := keys.Sub(mail, "dead")
	fmt.Println(dead, keys.SameSlot(mail.String(), dead.String()))
	// Output: prod/queue:{mail}:dead true
}

func ExampleParse() {
	name, err := keys.Parse("prod/rl:ip:{2001%3Adb8%3A%3A1}")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(name.Namespace)
	fmt.Printf("%q\n", name.Parts)
	fmt.Println("tag:", name.Parts[name.Tag])
	// Output:
	// prod
	// ["rl" "ip" "2001:db8::1"]
	// tag: 2001:db8::1
}

// A typo in a namespace shows at start-up.
func ExampleNew_badNamespace() {
	_, err := keys.New("prod:eu")
	fmt.Println(err)
	// Output: keys: namespace "prod:eu": ':' at byte 4 is not allowed
}
