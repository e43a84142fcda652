package keys

import "strings"

// slots is the number of slots of a Redis Cluster, a power of two.
const slots = 16384

// Slot returns the slot of a Redis Cluster that key belongs to: CRC-16/XMODEM
// of its hash tag, modulo 16384. The tag is what stands between the first '{'
// and the first '}' after it; if there is no such pair or nothing in between,
// the whole key is hashed. See "Key distribution model" in the Redis Cluster
// specification. Slot does not allocate.
func Slot(key string) uint16 {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if n := strings.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	var crc uint16
	for ; len(key) >= 8; key = key[8:] {
		crc = crcAhead[7][key[0]^byte(crc>>8)] ^ crcAhead[6][key[1]^byte(crc)] ^
			crcAhead[5][key[2]] ^ crcAhead[4][key[3]] ^ crcAhead[3][key[4]] ^
			crcAhead[2][key[5]] ^ crcAhead[1][key[6]] ^ crcAhead[0][key[7]]
	}
	for i := range len(key) {
		crc = crc<<8 ^ crcAhead[0][byte(crc>>8)^key[i]]
	}
	return crc % slots
}

// SameSlot reports whether all keys belong to one slot, so that one command,
// script or transaction may use them all. It is true of fewer than two keys.
func SameSlot(keys ...string) bool {
	if len(keys) < 2 {
		return true
	}
	first := Slot(keys[0])
	for _, key := range keys[1:] {
		if Slot(key) != first {
			return false
		}
	}
	return true
}

// crcAhead[n][c] is the CRC-16/XMODEM of byte c and n zero bytes after it. The
// CRC of eight bytes is the sum of those of each alone, which need not wait for
// one another as in a loop over single bytes.
//
// The polynomial is x¹⁶+x¹²+x⁵+1, highest bit first, starting from 0.
var crcAhead = func() (table [8][256]uint16) {
	for c := range 256 {
		crc := uint16(c) << 8
		for n := range table {
			for range 8 {
				carry := crc&0x8000 != 0
				crc <<= 1
				if carry {
					crc ^= 0x1021
				}
			}
			table[n][c] = crc
		}
	}
	return table
}()
