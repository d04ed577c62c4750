package chattemplate

// filterCall is a filter: of is the value in front of the bar.
type filterCall func(r *render, of value, a arguments) (value, error)

// filterFunc returns the filter of that name, nil if there is none.
func filterFunc(name string) filterCall {
	for _, family := range [...]func(string) filterCall{textFilter, numberFilter, itemFilter, pickFilter} {
		if f := family(name); f != nil {
			return f
		}
	}
	return nil
}

// textFilter are the filters that make text.
func textFilter(name string) filterCall {
	switch name {
	case "string":
		return filterString
	case "trim":
		return filterTrim
	case "upper":
		return mapText(upperText)
	case "lower":
		return mapText(lowerText)
	case "capitalize":
		return mapText(capitalText)
	case "title":
		return filterTitle
	case "replace":
		return filterReplace
	case "indent":
		return filterIndent
	case "join":
		return filterJoin
	case "tojson":
		return filterToJSON
	case "safe":
		return filterSafe
	case "e", "escape":
		return filterEscape
	case "forceescape":
		return filterForceEscape
	case "format":
		return filterFormat
	case "center":
		return filterCenter
	case "truncate":
		return filterTruncate
	case "wordcount":
		return filterWordCount
	case "wordwrap":
		return filterWordWrap
	case "pprint":
		return filterPPrint
	case "filesizeformat":
		return filterFileSize
	case "urlencode":
		return filterURLEncode
	case "urlize":
		return filterURLize
	case "xmlattr":
		return filterXMLAttr
	case "striptags":
		return filterStripTags
	}
	return nil
}

// numberFilter are the filters that make numbers.
func numberFilter(name string) filterCall {
	switch name {
	case "int":
		return filterInt
	case "float":
		return filterFloat
	case "abs":
		return filterAbs
	case "round":
		return filterRound
	case "length", "count":
		return filterLength
	case "sum":
		return filterSum
	}
	return nil
}

// itemFilter are the filters over all items.
func itemFilter(name string) filterCall {
	switch name {
	case "list":
		return filterList
	case "items":
		return filterItems
	case "dictsort":
		return filterDictSort
	case "sort":
		return filterSort
	case "unique":
		return filterUnique
	case "reverse":
		return filterReverse
	case "batch":
		return filterBatch
	case "slice":
		return filterSlice
	case "groupby":
		return filterGroupBy
	}
	return nil
}

// pickFilter are the filters that choose.
func pickFilter(name string) filterCall {
	switch name {
	case "default", "d":
		return filterDefault
	case "first":
		return filterFirst
	case "last":
		return filterLast
	case "min":
		return extreme("<")
	case "max":
		return extreme(">")
	case "attr":
		return filterAttr
	case "map":
		return filterMap
	case "select":
		return choose("select", true, false)
	case "reject":
		return choose("reject", false, false)
	case "selectattr":
		return choose("selectattr", true, true)
	case "rejectattr":
		return choose("rejectattr", false, true)
	}
	return nil
}

func unknownFilter(name string) string {
	if name == "random" {
		// It would make another prompt each time.
		return "the filter 'random' is not supported in chat templates"
	}
	return "No filter named " + quoted(name)
}

func (r *render) filter(name string, of value, a arguments) (value, error) {
	f := filterFunc(name)
	if f == nil {
		return nil, fail(runtimeError, "%s", unknownFilter(name))
	}
	if err := r.readText(of); err != nil {
		return nil, err
	}
	return f(r, of, a)
}
