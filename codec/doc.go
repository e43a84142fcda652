// Package codec turns Go values into the strings that Redis stores, and back.
//
//   - [Default] is what a nil Codec in a configuration stands for: strings and byte slices as they are, JSON otherwise.
//   - [JSON], [MessagePack] and [Raw] are the encodings; [From] makes a codec of another library's functions.
//   - [Compress] adds compression above a threshold to any of them.
//
// # Guarantees
//
// Decoding data that nobody vouches for returns an error and never panics. It allocates at most a constant, which
// depends on T (in the worst case the size of its largest element type), times the length of the data; with
// compression, the length of the data is what [Compression.MaxSize] bounds, and as much is allocated first. Functions
// given to [From], and methods by which T decodes itself, are on their own.
//
// A codec holds no connection, starts no goroutine, and is safe for concurrent use. Make one and keep it: it keeps its
// working memory for the next call.
//
// # The layout of compressed values
//
// A codec made by [Compress] stores what its inner codec encoded in one of these ways:
//
//	any byte but C1, or nothing at all      the value as the inner codec encoded it
//	C1 10 …                                 the rest is the value, which itself begins with C1
//	C1 11 …                                 the rest is the value as a Snappy block, or an S2 block
//	C1 12 …                                 the rest is the value as one Zstandard frame that says its size
//
// The high half of the second byte is the version, 1; anything else is [ErrCorrupt]. C1 can begin no text in UTF-8, no
// JSON, and no MessagePack, so with these codecs small values look the same with compression and without. In Python,
// reading is:
//
//	def plain(v):
//	    if v[:1] != b"\xc1": return v
//	    return {0x10: bytes, 0x11: snappy.decompress, 0x12: zstandard.decompress}[v[1]](v[2:])
//
// # Choices, measured
//
// JSON is the standard library's. For a struct of 6 fields with Go 1.26 it took 1.4 µs to write and 3.5 µs to read,
// goccy/go-json v0.12.0 0.6 and 0.9 µs, bytedance/sonic v1.15.5 0.9 and 1.0 µs; but that is little beside a round
// trip, they add 3.6 and 5.2 MB to a program, and unsafe code to what reads foreign bytes, and sonic accepted control
// characters that JSON forbids. Whoever wants one passes it to [From].
//
// MessagePack is our own (0.7 and 1.2 µs). vmihailenco/msgpack v5.4.1 allocated 4 GiB for 5 bytes; it and
// shamaton/msgpack v3.1.0 read 300 into an int8 as 44; hashicorp/go-msgpack v2.1.5 and ugorji/go v1.3.2 add 4 and 13 MB
// to a program.
//
// S2 is the default compression: for JSON of 13 kB it took 16 µs to write and 7 µs to read, Zstandard 65 and 25 µs,
// with output half as large as S2's.
package codec
