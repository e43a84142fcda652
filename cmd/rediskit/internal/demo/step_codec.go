package demo

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/rueidis"

	"github.com/tickettoken/rediskit/codec"
)

func stepCodec(ctx context.Context, t *tour) error {
	client, key := t.client, t.keys("codec")

	t.show("JSON by default, MessagePack or your own; compressed from 1 KiB on.")
	type Page struct {
		Title string `json:"title"`
		Body  string `json:"body"`
	}
	pages := codec.Compress(codec.JSON[Page](), codec.Compression{Algorithm: codec.Zstd})
	page := Page{Title: "Terms", Body: strings.Repeat("The ticket is not transferable. ", 500)}
	stored, err := pages.Encode(page)
	if err != nil {
		return err
	}
	err = client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Set().Key(key("page")).Value(stored).Ex(ttl).Build()
	}).Error()
	if err != nil {
		return err
	}
	read, err := client.Do(ctx, func(b rueidis.Builder) rueidis.Completed {
		return b.Get().Key(key("page")).Build()
	}).ToString()
	if err != nil {
		return err
	}
	var back Page
	err = pages.Decode(read, &back)
	if err != nil {
		return err
	}
	t.result("a page of %d bytes takes %d in Redis, and is the same again: %v", len(page.Body), len(read), back == page)

	t.show("Bytes that nobody vouches for: a value that claims 4 GB, and one that is cut short.")
	bomb := pages.Decode("\xc1\x11\xff\xff\xff\xff\x0f", &back)
	torn := pages.Decode(stored[:len(stored)/2], &back)
	t.result("%v (ErrTooLarge: %v)\n%v (ErrCorrupt: %v)", bomb, errors.Is(bomb, codec.ErrTooLarge),
		torn, errors.Is(torn, codec.ErrCorrupt))
	return nil
}
