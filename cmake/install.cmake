# The last step of an installation: it installs what names the prefix, and registers the libraries with
# the system's loader.

foreach(name BINDIR LIBDIR INCLUDEDIR MANDIR)
    string(TOLOWER ${name} variable)
    cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_${name} BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" NORMALIZE
               OUTPUT_VARIABLE ${variable})
endforeach()

# The folders that the loader searches are those that ldconfig lists.
find_program(LDCONFIG ldconfig PATHS /usr/sbin /sbin)
set(loader_searches_libdir FALSE)
if(LDCONFIG)
    execute_process(COMMAND "${LDCONFIG}" -v -N -X OUTPUT_VARIABLE searched ERROR_QUIET)
    string(REGEX MATCHALL "(^|\n)/[^:\n]*" searched "${searched}")
    file(REAL_PATH "${libdir}" real_libdir)
    foreach(folder IN LISTS searched)
        string(STRIP "${folder}" folder)
        file(REAL_PATH "${folder}" folder)
        if(folder STREQUAL real_libdir)
            set(loader_searches_libdir TRUE)
        endif()
    endforeach()
endif()

# Programs that link with the library find it in a prefix of one's own by their run path.
set(link_rpath "")
if(NOT loader_searches_libdir)
    set(link_rpath "-Wl,-rpath,\${libdir} ")
endif()

function(install_configured template folder)
    cmake_path(GET template FILENAME name)
    string(REGEX REPLACE "\\.in$" "" name "${name}")
    configure_file("${PROJECT_SOURCE_DIR}/${template}" "${PROJECT_BINARY_DIR}/install/${name}" @ONLY)
    file(INSTALL "${PROJECT_BINARY_DIR}/install/${name}" DESTINATION "${folder}")
    set(CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_MANIFEST_FILES}" PARENT_SCOPE)
endfunction()

install_configured(cmake/zksync.pc.in "${libdir}/pkgconfig")
install_configured(cmake/zksync-server.pc.in "${libdir}/pkgconfig")
install_configured(man/zksync.1 "${mandir}/man1")
install_configured(man/zksync.7 "${mandir}/man7")
# Where systemd looks whatever the name of the folder for libraries is.
install_configured(dist/systemd/zksync.service "${CMAKE_INSTALL_PREFIX}/lib/systemd/user")
install_configured(dist/systemd/zksync-server.service "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")

if(loader_searches_libdir)
    set(refreshed 1)
    if("$ENV{DESTDIR}" STREQUAL "")
        execute_process(COMMAND "${LDCONFIG}" RESULT_VARIABLE refreshed ERROR_QUIET)
    endif()
    if(NOT refreshed EQUAL 0)
        message(NOTICE "Run ldconfig as root on the system that uses ${libdir}: until then programs that "
                       "link with libzksync do not start.")
    endif()
endif()
