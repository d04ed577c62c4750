package proxy

import (
	"context"
	"fmt"
	"strings"
)

// Models are the names of the models that a server says it has.
func Models(ctx context.Context, client *Client) ([]string, error) {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := client.Get(ctx, "/v1/models", &list); err != nil {
		return nil, err
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	return names, nil
}

// OnlyModel is the name of a server's model, if it has one and no more.
func OnlyModel(ctx context.Context, client *Client) (string, error) {
	names, err := Models(ctx, client)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", fmt.Errorf("base %s: the server has %d models, say which as model: %s", client.endpoint.Name, len(names), strings.Join(names, ", "))
	}
	return names[0], nil
}
