"""The faces: REST API and `terrarium` command. They write requests, start runs and read; they never act themselves."""
