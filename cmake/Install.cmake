# Installation and the package config file for find_package(tributary).
