# Debian's own config file for LevelDB names libraries that its packages do not bring, so look for it here.
find_path(LevelDBLibrary_INCLUDE_DIR leveldb/db.h)
find_library(LevelDBLibrary_LIBRARY leveldb)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LevelDBLibrary REQUIRED_VARS LevelDBLibrary_LIBRARY LevelDBLibrary_INCLUDE_DIR)
if(LevelDBLibrary_FOUND AND NOT TARGET LevelDB::LevelDB)
  add_library(LevelDB::LevelDB UNKNOWN IMPORTED)
  set_target_properties(LevelDB::LevelDB PROPERTIES
    IMPORTED_LOCATION "${LevelDBLibrary_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${LevelDBLibrary_INCLUDE_DIR}")
endif()
