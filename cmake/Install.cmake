# Installation, so that other projects can say find_package(tributary).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tributary)

install(TARGETS tributary EXPORT tributaryTargets)
install(DIRECTORY value crdt store peer datom realize
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tributary FILES_MATCHING PATTERN "*.hpp")
install(EXPORT tributaryTargets NAMESPACE tributary:: DESTINATION ${package_dir})

configure_package_config_file(cmake/tributaryConfig.cmake.in ${PROJECT_BINARY_DIR}/tributaryConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tributaryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tributaryConfig.cmake ${PROJECT_BINARY_DIR}/tributaryConfigVersion.cmake
              cmake/FindLevelDBLibrary.cmake
              cmake/FindLibstemmer.cmake
        DESTINATION ${package_dir})
