package proxy

// samples are texts on which tokenizers part: of different models, and of one model
// written down in two ways. None holds what could be a special token.
func samples() []string {
	return []string{
		"The quick brown fox jumps over the lazy dog.",
		"It's what they'd've said: \"don't\", 'can't' & WON'T – I'll, we're, you'LL…",
		"Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
		"Où l'œil naïf reçoit-il ça ? Señor, ¿cómo está? Příliš žluťoučký kůň.",
		"Съешь же ещё этих мягких французских булок, да выпей чаю.",
		"Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
		"نص حكيم له سر قاطع وذو شأن عظيم",
		"דג סקרן שט בים מאוכזב ולפתע מצא חברה",
		"ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण",
		"天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。",
		"いろはにほへと ちりぬるを、カタカナとｶﾀｶﾅ。",
		"키스의 고유조건은 입술끼리 만나야 하고",
		"นายสังฆภัณฑ์ เฮงพิทักษ์ฝั่ง",
		"👍🏽 👩‍👩‍👧‍👦 🇩🇪 ❤️ 🜁 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 e\u0301 \u00e9",
		"0 1 12 123 1234 12345 123456 3.14159 1,000,000 0xDEADBEEF 1e-9 ٣٤٥ Ⅷ ½",
		"func main() {\n\tfor i := 0; i < 10; i++ {\n\t\tfmt.Println(a[i], \"x\\n\")\n\t}\n}\n",
		"def f(x):\n    return x ** 2 if x != 0 else -1  # comment\n\n\nclass A(B): pass",
		"SELECT * FROM t WHERE a_b = 'c' AND d<>e; -- https://example.org/?q=1&r=%20#x",
		"a  b   c    d     e\tf\t\tg \t h\n\ni\n\n\nj\r\nk \n l",
		"    leading and trailing    ",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ---------------- ================ ........",
		"camelCase snake_case SCREAMING_CASE kebab-case mixedCASEWords iPhone15Pro",
		"\u00a0no-break\u2009thin\u3000wide\u200bzero\ufeffmark",
	}
}
