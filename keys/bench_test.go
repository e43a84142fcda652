package keys

import "testing"

func BenchmarkKey(b *testing.B) {
	prod := MustNew("prod")
	id := "8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11"
	for name, build := range map[string]func() string{
		"Session":   func() string { return prod.Session(id).String() },
		"RateLimit": func() string { return prod.RateLimit("login", id).String() },
		"Build":     func() string { return prod.Build("report", "2024", id).String() },
		"Hostile":   func() string { return prod.Build("report", "{a}:{b}:*?[^-]\\%").String() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				build()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	key := MustNew("prod").UserSession("42", "8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11").String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSlot(b *testing.B) {
	for name, key := range map[string]string{
		"Whole": "prod/session:8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11",
		"Tag":   "prod/session:{42}:8c6e2b1e-9b0f-4d52-8a10-1f5f2f3b5c11",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Slot(key)
			}
		})
	}
}
