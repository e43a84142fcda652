package codec_test

import (
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/tickettoken/rediskit/codec"
)

type Page struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

func Example() {
	c := codec.Default[Page]()
	s, err := c.Encode(Page{Title: "Hello", Body: "…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s)

	var page Page
	if err := c.Decode(s, &page); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Title)
	// Output:
	// {"title":"Hello","body":"…"}
	// Hello
}

func ExampleDefault() {
	text, _ := codec.Default[string]().Encode("not quoted")
	number, _ := codec.Default[int]().Encode(42)
	list, _ := codec.Default[[]string]().Encode([]string{"a", "b"})
	fmt.Println(text, number, list)
	// Output: not quoted 42 ["a","b"]
}

func ExampleMessagePack() {
	s, err := codec.MessagePack[Page]().Encode(Page{Title: "Hello"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(hex.Dump([]byte(s)))
	// Output:
	// 00000000  82 a5 74 69 74 6c 65 a5  48 65 6c 6c 6f a4 62 6f  |..title.Hello.bo|
	// 00000010  64 79 a0                                          |dy.|
}

// Any pair of functions in the style of encoding/json will do: those of a faster JSON library, for example.
func ExampleFrom() {
	c := codec.From[Page](xml.Marshal, xml.Unmarshal)
	s, err := c.Encode(Page{Title: "Hello"})
	fmt.Println(s, err)
	// Output: <Page><Title>Hello</Title><Body></Body></Page> <nil>
}

func ExampleCompress() {
	c := codec.Compress(codec.JSON[Page](), codec.Compression{Algorithm: codec.Zstd})
	small, _ := c.Encode(Page{Title: "small"})
	large, _ := c.Encode(Page{Title: "large", Body: strings.Repeat("the same again and again, ", 1000)})
	fmt.Println(small)
	fmt.Printf("%x… is 1%% of it or less: %v\n", large[:2], len(large) < 260)

	// Whoever reads needs to know nothing but that values may be compressed.
	reader := codec.Compress(codec.JSON[Page](), codec.Compression{})
	var page Page
	fmt.Println(reader.Decode(large, &page), len(page.Body))
	// Output:
	// {"title":"small","body":""}
	// c112… is 1% of it or less: true
	// <nil> 26000
}

func ExampleErrCorrupt() {
	var page Page
	err := codec.JSON[Page]().Decode(`{"title": 7}`, &page)
	fmt.Println(errors.Is(err, codec.ErrCorrupt))
	fmt.Println(err)
	// Output:
	// true
	// codec: undecodable data: json: cannot unmarshal number into Go struct field Page.title of type string
}
