# A Rack application as in Puma's documentation.
run lambda { |env| [200, { "Content-Type" => "text/plain" }, ["Hello World"]] }
