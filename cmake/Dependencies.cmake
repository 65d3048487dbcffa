# Everything here comes from Debian packages; script/bootstrap installs them.
find_package(Threads REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(LevelDBLibrary REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)
find_package(Libstemmer REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)  # of the command line only
