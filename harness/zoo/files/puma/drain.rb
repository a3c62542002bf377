# https://puma.io/puma/Puma/DSL.html#drain_on_shutdown-instance_method
drain_on_shutdown
