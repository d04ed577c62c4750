package chattemplate

import (
	"fmt"
	"strings"
	"time"
)

// strftime writes t as C's function of that name does in the C locale. A
// directive that is not understood refuses.
func strftime(t time.Time, format string) (string, error) {
	var sb strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			sb.WriteByte(format[i])
			continue
		}
		i++
		pad := byte(0)
		if i < len(format) && strings.IndexByte("-_0^", format[i]) >= 0 {
			pad = format[i]
			i++
		}
		if i == len(format) {
			return "", fail(notSupported, "strftime: the format ends after %%")
		}
		text, ok := directive(t, format[i])
		if number := strings.IndexByte("CGHIMSUVWdejklmuwy", format[i]) >= 0; !ok || pad != 0 && pad != '^' && !number {
			return "", fail(notSupported, "strftime: the directive %%%c", format[i])
		}
		sb.WriteString(repad(text, pad))
	}
	return sb.String(), nil
}

// repad applies glibc's flags: no padding, blanks, zeros, large letters.
func repad(text string, flag byte) string {
	switch flag {
	case '-':
		if short := strings.TrimLeft(text, "0 "); short != "" {
			return short
		}
		return text[len(text)-1:]
	case '_':
		trimmed := strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:]
		return strings.Repeat(" ", len(text)-len(trimmed)) + trimmed
	case '0':
		return strings.ReplaceAll(text, " ", "0")
	case '^':
		return strings.ToUpper(text)
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
