package wasim_test

const loadServerVariable = "WASIM_LOAD_SERVER"

func runLoadServer() {}
