# Two corrections for the ROS 2 wheels on PyPI. With ROS 2 from apt neither changes anything.

# Their packages export include directories of the machine that built them, and CMake refuses
# imported targets whose include directories are missing.
get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target IN LISTS imported)
  get_target_property(directories ${target} INTERFACE_INCLUDE_DIRECTORIES)
  if(directories)
    set(present "")
    foreach(directory IN LISTS directories)
      if(NOT IS_ABSOLUTE "${directory}" OR EXISTS "${directory}")
        list(APPEND present "${directory}")
      endif()
    endforeach()
    set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${present}")
  endif()
endforeach()

# Their generator makes our own package export the headers of Python and numpy; CMake refuses
# that when the environment lies in the source tree, as .venv does.
set_target_properties(${PROJECT_NAME}__rosidl_generator_py PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "")
