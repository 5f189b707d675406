// placeholder of the module target
