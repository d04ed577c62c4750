package chattemplate

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// strftime writes t as C's function of that name does in the C locale. What is
// no directive stands as it is; widths and the modifiers E and O refuse.
func strftime(t time.Time, format string) (string, error) {
	var sb strings.Builder
	for format != "" {
		plain, rest, found := strings.Cut(format, "%")
		sb.WriteString(plain)
		if !found {
			break
		}
		flag := byte(0)
		if rest != "" && strings.IndexByte("-_0^#", rest[0]) >= 0 {
			flag, rest = rest[0], rest[1:]
		}
		if rest == "" {
			sb.WriteString(format[len(plain):])
			break
		}
		c := rest[0]
		if strings.IndexByte("0123456789EOs+-_^#", c) >= 0 {
			return "", fail(notSupported, "strftime: the directive %%%s", format[len(plain)+1:])
		}
		text, ok := directive(t, c)
		if !ok || c == 'f' && flag != 0 {
			_, n := utf8.DecodeRuneInString(rest)
			text = format[len(plain) : len(format)-len(rest)+n]
			if flag == '^' {
				text = strings.ToUpper(text)
			}
			sb.WriteString(text)
			format = rest[n:]
			continue
		}
		sb.WriteString(repad(text, flag, c))
		format = rest[1:]
	}
	return sb.String(), nil
}

// repad applies glibc's flags: no padding, blanks, zeros, large letters, the
// other case. Only numbers are padded.
func repad(text string, flag, c byte) string {
	isNumber := strings.IndexByte("CGHIMSUVWdegjklmuwy", c) >= 0
	switch {
	case flag == '^' && c != 'P', flag == '#' && strings.IndexByte("aAbBh", c) >= 0:
		return strings.ToUpper(text)
	case flag == '#' && c == 'p':
		return strings.ToLower(text)
	case !isNumber:
		return text
	case flag == '-':
		if short := strings.TrimLeft(text, "0 "); short != "" {
			return short
		}
		return text[len(text)-1:]
	case flag == '_':
		trimmed := strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:]
		return strings.Repeat(" ", len(text)-len(trimmed)) + trimmed
	case flag == '0':
		return strings.ReplaceAll(text, " ", "0")
	}
	return text
}

func directive(t time.Time, c byte) (string, bool) {
	hour12 := (t.Hour()+11)%12 + 1
	switch c {
	case 'Y':
		return fmt.Sprint(t.Year()), true
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100), true
	case 'y':
		return fmt.Sprintf("%02d", t.Year()%100), true
	case 'm':
		return fmt.Sprintf("%02d", t.Month()), true
	case 'd':
		return fmt.Sprintf("%02d", t.Day()), true
	case 'e':
		return fmt.Sprintf("%2d", t.Day()), true
	case 'H':
		return fmt.Sprintf("%02d", t.Hour()), true
	case 'I':
		return fmt.Sprintf("%02d", hour12), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", hour12), true
	case 'M':
		return fmt.Sprintf("%02d", t.Minute()), true
	case 'S':
		return fmt.Sprintf("%02d", t.Second()), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	}
	return dayDirective(t, c)
}

// dayDirective knows names, weeks and compound forms. The time has no zone for
// templates, so %z and %Z are empty.
func dayDirective(t time.Time, c byte) (string, bool) {
	year, week := t.ISOWeek()
	switch c {
	case 'B':
		return t.Month().String(), true
	case 'b', 'h':
		return t.Month().String()[:3], true
	case 'A':
		return t.Weekday().String(), true
	case 'a':
		return t.Weekday().String()[:3], true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'w':
		return fmt.Sprint(int(t.Weekday())), true
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), true
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7), true
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7), true
	case 'G':
		return fmt.Sprint(year), true
	case 'g':
		return fmt.Sprintf("%02d", year%100), true
	case 'V':
		return fmt.Sprintf("%02d", week), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'R':
		return t.Format("15:04"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case '%':
		return "%", true
	case 'z', 'Z':
		return "", true
	}
	return "", false
}
