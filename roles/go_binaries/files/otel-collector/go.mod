module titanium.dev/build/otel-collector

go 1.26.0
