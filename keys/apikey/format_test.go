package apikey_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/big"
	"regexp"
	"testing"

	"lastseen/keys/apikey"
	"lastseen/schema"
)

var keyForm = regexp.MustCompile(`^(ak|dk)_[0-9A-Za-z]{49}$`)

func kindOf(prefix byte) schema.KeyKind {
	if prefix == 'd' {
		return schema.KindDeviceCredential
	}
	return schema.KindAPIKey
}

// base62 reads a number independently of the code that writes it.
func base62(t *testing.T, text []byte) *big.Int {
	t.Helper()
	number, ok := new(big.Int).SetString(string(text), 62)
	if !ok {
		t.Fatalf("%q is not base62", text)
	}
	return number
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	good := apikey.FormatKey(schema.KindAPIKey, [32]byte{1, 2, 3})
	flipped := bytes.Clone(good)
	flipped[20] = 'x'
	for name, test := range map[string]struct {
		text []byte
		ok   bool
	}{
		"a key":                 {good, true},
		"nothing":               {nil, false},
		"the prefix alone":      {[]byte("ak_"), false},
		"one character missing": {good[:len(good)-1], false},
		"one character more":    {append(bytes.Clone(good), '0'), false},
		"another prefix":        {append([]byte("xk_"), good[3:]...), false},
		"the other prefix":      {append([]byte("dk_"), good[3:]...), false},
		"a mistyped character":  {flipped, false},
		"upper case":            {bytes.ToUpper(good), false},
		"spaces around it":      {fmt.Appendf(nil, " %s ", good), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if kind, ok := apikey.Parse(test.text); ok != test.ok || ok && kind != schema.KindAPIKey {
				t.Errorf("got %q, %v", kind, ok)
			}
		})
	}
}

func TestParseKeyDoesNotAllocate(t *testing.T) {
	text := apikey.FormatKey(schema.KindAPIKey, [32]byte{1, 2, 3})
	if n := testing.AllocsPerRun(1000, func() { apikey.Parse(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzKey takes any secret: its text reads back, and no change to one character does.
func FuzzKey(f *testing.F) {
	f.Add(make([]byte, 32), true, byte(7))
	f.Add(bytes.Repeat([]byte{0xff}, 32), false, byte('!'))
	f.Fuzz(func(t *testing.T, some []byte, device bool, other byte) {
		var secret [32]byte
		copy(secret[:], some)
		kind := schema.KindAPIKey
		if device {
			kind = schema.KindDeviceCredential
		}
		text := apikey.FormatKey(kind, secret)
		if !keyForm.Match(text) {
			t.Fatalf("%q has the wrong form", text)
		}
		if got, ok := apikey.Parse(text); !ok || got != kind {
			t.Fatalf("%q reads as %q, %v", text, got, ok)
		}
		if got := base62(t, text[3:46]).FillBytes(make([]byte, 32)); !bytes.Equal(got, secret[:]) {
			t.Fatalf("the text holds %x, want %x", got, secret)
		}
		if got, want := base62(t, text[46:]).Uint64(), uint64(crc32.ChecksumIEEE(text[:46])); got != want {
			t.Fatalf("the checksum is %d, want %d", got, want)
		}
		for i := range text {
			for _, c := range []byte{other, '0', 'a', 'd', 'Z'} {
				if c == text[i] {
					continue
				}
				changed := bytes.Clone(text)
				changed[i] = c
				if _, ok := apikey.Parse(changed); ok {
					t.Fatalf("%q is accepted, changed from %q", changed, text)
				}
			}
		}
	})
}

// FuzzParseKey takes any text: what is accepted is written in the one way in which it could be.
func FuzzParseKey(f *testing.F) {
	f.Add(apikey.FormatKey(schema.KindAPIKey, [32]byte{9}))
	f.Add(apikey.FormatKey(schema.KindDeviceCredential, [32]byte{31: 1}))
	f.Add([]byte("ak_"))
	f.Fuzz(func(t *testing.T, text []byte) {
		kind, ok := apikey.Parse(text)
		if !ok {
			return
		}
		if !keyForm.Match(text) || kind != kindOf(text[0]) {
			t.Fatalf("%q is accepted as %q", text, kind)
		}
		number := base62(t, text[3:46])
		if number.BitLen() > 256 {
			return // well formed, but of no key that is ever made
		}
		var secret [32]byte
		number.FillBytes(secret[:])
		if again := apikey.FormatKey(kind, secret); !bytes.Equal(again, text) {
			t.Fatalf("%q is accepted, but would be written as %q", text, again)
		}
	})
}
