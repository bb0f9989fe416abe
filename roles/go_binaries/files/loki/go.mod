module titanium.dev/build/loki

go 1.26.0
