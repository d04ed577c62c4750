module github.com/graft-gateway/graft

go 1.26.8

require (
	github.com/alecthomas/kong v1.17.0 // indirect
	github.com/go-chi/chi/v5 v5.5.0 // indirect
	github.com/goccy/go-yaml v1.19.2 // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/sashabaranov/go-openai v1.42.0 // indirect
	github.com/yalue/onnxruntime_go v1.27.0
	golang.org/x/text v0.43.0 // indirect
)
