package onnx

import "fmt"

// attention is one GroupQueryAttention node of a graph, by the names of the
// cache tensors that it reads and writes.
type attention struct {
	pastKey, pastValue, presentKey, presentValue string
}

// readAttention lists the GroupQueryAttention nodes of a model's main graph. A
// session does not tell its operators, and the buffers of a cache may be shared
// with nothing but this one, so the file is asked: it is a protocol buffer in
// which
//
//	ModelProto.graph = 7   GraphProto.node = 1   NodeProto.input = 1, output = 2, op_type = 4, domain = 7
//
// and everything else, the weights above all, is skipped unread.
func readAttention(src Source) ([]attention, error) {
	file, size, done, err := src.open()
	if err != nil {
		return nil, err
	}
	defer done()
	var found []attention
	model := wire{blocks: &blocks{file: file}, end: size}
	err = model.fields(func(number int, body wire) error {
		if number != 7 {
			return nil
		}
		return body.fields(func(number int, body wire) error {
			if number != 1 {
				return nil
			}
			node, ok, err := readNode(body)
			if ok {
				found = append(found, node)
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("not an ONNX file: %w", err)
	}
	return found, nil
}

// readNode reads a NodeProto; ok says that it is a GroupQueryAttention.
func readNode(body wire) (node attention, ok bool, err error) {
	var inputs, outputs []string
	var op, domain string
	err = body.fields(func(number int, body wire) error {
		var text string
		var err error
		switch number {
		case 1, 2, 4, 7:
			if text, err = body.text(); err != nil {
				return err
			}
		}
		switch number {
		case 1:
			inputs = append(inputs, text)
		case 2:
			outputs = append(outputs, text)
		case 4:
			op = text
		case 7:
			domain = text
		}
		return nil
	})
	if err != nil || op != "GroupQueryAttention" || domain != "com.microsoft" || len(inputs) < 5 || len(outputs) < 3 {
		return attention{}, false, err
	}
	return attention{pastKey: inputs[3], pastValue: inputs[4], presentKey: outputs[1], presentValue: outputs[2]}, true, nil
}
